"""The project's own small trained models. See README.md beside this file for how each was made."""

from pathlib import Path

from edgeproof.runtime.errors import ModelError

CLASSIFIER = "cifar100-mobilenetv2-035-96-int8.tflite"
BACKBONE = "backbone-mobilenetv2-035.npz"


def path(name: str) -> Path:
    """Where a shipped model lies. Raises `ModelError` when this installation lacks it."""
    found = Path(__file__).with_name(name)
    if not found.is_file():
        raise ModelError(f"{found}: this installation lacks the shipped model. Install edgeproof again.")
    return found
