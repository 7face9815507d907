"""The backbones that a network can stand on: one table of those that Keras builds, and any Keras model from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from edgeproof.runtime.errors import ConfigError, first_line
from edgeproof.train import config as settings

DEFAULT = "mobilenetv2"
SCALING = "scaling"
# What our own layers are called, which a file's layers must not be.
RESERVED = ("pixels", SCALING, "features", "head", "dropout", "probabilities")
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
_AROUND_ONE = ((1 / 127.5,) * 3, (-1.0,) * 3)
# Of ImageNet's pictures between 0 and 1.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications`, and what differs between them.

    `scaling` is what raw pixels are multiplied with and what is added then, for each channel: it lies in a layer of
    ours and never in the backbone. `frozen_layers` is a boundary of blocks after about a third of the layers.
    """

    builder: str
    title: str
    scaling: tuple[tuple[float, ...], tuple[float, ...]]
    frozen_layers: int
    has_alpha: bool = False
    has_minimalistic: bool = False
    # Arguments that keep the scaling out of the backbone.
    fixed: tuple[tuple[str, Any], ...] = (("include_preprocessing", False),)


TABLE = {
    DEFAULT: Backbone("MobileNetV2", "MobileNetV2", _AROUND_ONE, 50, has_alpha=True, fixed=()),
    "mobilenetv3small": Backbone(
        "MobileNetV3Small", "MobileNetV3Small", _AROUND_ONE, 49, has_alpha=True, has_minimalistic=True
    ),
    "mobilenetv3large": Backbone(
        "MobileNetV3Large", "MobileNetV3Large", _AROUND_ONE, 58, has_alpha=True, has_minimalistic=True
    ),
    "efficientnetv2b0": Backbone(
        "EfficientNetV2B0",
        "EfficientNetV2B0",
        (
            tuple(1 / (255 * each) for each in _DEVIATION),
            tuple(-mean / each for mean, each in zip(_MEAN, _DEVIATION, strict=True)),
        ),
        74,
    ),
}


def known(network: settings.Network) -> Backbone | None:
    """The table's row for what the settings name; None for the path of a model file.

    Raises `ConfigError` for another name, or for a setting that this backbone does not have.
    """
    name = network.backbone.lower()
    row = TABLE.get(name)
    if row is None and Path(network.backbone).suffix not in _MODEL_SUFFIXES:
        raise ConfigError(
            f"network.backbone: no backbone '{network.backbone}'. Known are {', '.join(TABLE)}, "
            "or give the path of a .keras or .h5 model."
        )
    title = row.title if row else network.backbone
    if network.alpha != 1 and not (row and row.has_alpha):
        raise ConfigError(f"network.alpha is {network.alpha:g}, but {title} comes in one width. Leave it at 1.0.")
    if network.minimalistic and not (row and row.has_minimalistic):
        raise ConfigError(f"network.minimalistic is for MobileNetV3, not for {title}. Leave it out.")
    if row and network.input_range != (0.0, 255.0):
        raise ConfigError(f"network.input_range is for a model file; {title} has a scaling of its own. Leave it out.")
    return row


def built(row: Backbone, network: settings.Network, *, inputs: Any = None, weights: str | None = None) -> Any:
    """A backbone of the table without its top, in Keras' own weights or random ones, on `inputs` already scaled."""
    options: dict[str, Any] = dict(row.fixed)
    if row.has_alpha:
        options["alpha"] = network.alpha
    if row.has_minimalistic:
        options["minimalistic"] = network.minimalistic
    if inputs is not None:
        options["input_tensor"] = inputs
    builder = getattr(keras.applications, row.builder)
    return builder(input_shape=(network.size, network.size, 3), include_top=False, weights=weights, **options)


def title(network: settings.Network) -> str:
    """What a backbone is called in messages, with its width."""
    row = TABLE.get(network.backbone.lower())
    if row is None:
        return Path(network.backbone).name
    return f"{row.title} of alpha {network.alpha:g}" if row.has_alpha else row.title


def name(network: settings.Network) -> str:
    """The network's name: backbone, width in percent where there are several, and size."""
    row = TABLE.get(network.backbone.lower())
    if row is None:
        return f"{''.join(each if each.isalnum() else '_' for each in Path(network.backbone).stem)}_{network.size}"
    parts = [row.title.lower()]
    parts += ["minimalistic"] if network.minimalistic else []
    parts += [f"{round(network.alpha * 100):03}"] if row.has_alpha else []
    return "_".join([*parts, str(network.size)])


def frozen_layers(network: settings.Network, layers: int) -> int:
    """How many of a base's `layers` stay frozen unless the settings say: the table's, a third of a model file's."""
    row = TABLE.get(network.backbone.lower())
    return row.frozen_layers if row else layers // 3


def from_file(path: Path, scaled: Any) -> Any:
    """The last feature map of a Keras model, on `scaled` inputs: the one before its global pooling, or the last.

    Models inside the model are taken apart, so that the result is flat; the weights are the file's. Returns a tensor
    of shape (n, height, width, channels). Raises `ConfigError` for what is no such model.
    """
    if not path.is_file():
        raise ConfigError(f"network.backbone={path}: no such file. Give a .keras or .h5 model, or {', '.join(TABLE)}.")
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"network.backbone={path} cannot be loaded by Keras ({first_line(error)[:120]}).") from None
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.inputs[0].shape) != 4:
        raise ConfigError(f"network.backbone={path} takes no pictures of shape (n, height, width, channels).")
    try:
        return last_map(model, scaled)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"network.backbone={path} does not fit here ({first_line(error)[:120]}).") from None


def last_map(model: Any, inputs: Any) -> Any:
    """The last feature map of a model on other inputs, by copies of its layers, models inside it taken apart.

    That is the output, where it is a map, or what the last global pooling takes. Raises `ValueError` for no map.
    """
    copy = _Copy()
    output = copy.run(model, inputs)
    found = output if output is not None and len(output.shape) == 4 else copy.pooled
    found = copy.latest if found is None else found
    if found is None or found is inputs:
        raise ValueError("it has no feature map")
    return found


class _Flattened(Exception):  # no error: what comes behind is not wanted
    """The head was reached: it may fit no other size."""


class _Copy:
    """Copies of a model's layers, called in the order in which they run, with names of their own.

    `latest` is the last feature map so far, `pooled` the one that the last global pooling or the flattening took.
    """

    def __init__(self) -> None:
        self.latest: Any | None = None
        self.pooled: Any | None = None
        self._copies: dict[int, Any] = {}
        self._names = set(RESERVED)

    def run(self, model: Any, inputs: Any) -> Any | None:
        """The model's output, or None where it flattens a map."""
        try:
            return self._model(model, inputs)
        except _Flattened:
            return None

    def _model(self, model: Any, inputs: Any) -> Any:
        graph = getattr(model, "_functional", None) or model  # a Sequential keeps its graph there
        found = graph._run_through_graph(inputs, operation_fn=self._call)
        return found[0] if isinstance(found, list | tuple) and len(found) == 1 else found

    def _call(self, layer: Any) -> Any:
        def call(*arguments: Any, **more: Any) -> Any:
            if isinstance(layer, keras.Model):
                return self._model(layer, arguments[0])
            if isinstance(layer, keras.layers.Flatten):
                if set(arguments[0].shape[1:3]) != {1}:  # a map, and not one that was pooled to a single place
                    self.pooled = arguments[0]
                raise _Flattened
            if isinstance(layer, _POOLING):
                self.pooled = arguments[0]
            found = self._copied(layer)(*arguments, **{key: each for key, each in more.items() if key != "training"})
            if len(getattr(found, "shape", ())) == 4:
                self.latest = found
            return found

        return call

    def _copied(self, layer: Any) -> Any:
        if not isinstance(layer, keras.Layer):
            return layer  # an operation on tensors, without weights
        if id(layer) not in self._copies:
            copy = type(layer).from_config(layer.get_config() | {"name": self._free(layer.name)})
            if layer.weights:
                copy.build_from_config(layer.get_build_config())
                copy.set_weights(layer.get_weights())
            self._copies[id(layer)] = copy
        return self._copies[id(layer)]

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._names:
            name, number = f"{wanted}_{number}", number + 1
        self._names.add(name)
        return name
