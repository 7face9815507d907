"""Runs image classifiers on a device: NumPy, Pillow and LiteRT, never TensorFlow."""

from edgeproof.runtime.classifier import Classifier, Prediction, Result
from edgeproof.runtime.errors import ConfigError, DataError, EdgeproofError, ModelError, VerificationError

__all__ = [
    "Classifier",
    "ConfigError",
    "DataError",
    "EdgeproofError",
    "ModelError",
    "Prediction",
    "Result",
    "VerificationError",
]
