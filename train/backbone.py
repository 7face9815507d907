"""`python -m edgeproof.train.backbone MODEL.keras OUT.npz`: a trained model's backbone in half precision."""

import sys
from pathlib import Path
from typing import Any

import keras

from edgeproof.train import network, weights


def backbone(model: Any) -> Any:
    """The part of one of our models from pixels to the last feature map."""
    last = network.base_layers(model)[-1]
    return keras.Model(model.inputs, last.output)


def main(arguments: list[str]) -> None:
    """Write the backbone's weights of a Keras model file to an .npz."""
    source, target = (Path(argument) for argument in arguments)
    weights.save_half(backbone(keras.models.load_model(source, compile=False)), target)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
