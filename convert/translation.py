"""One node of a Keras 3 graph to plain layers that Keras 2 has too, with the settings that both understand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.errors import ModelError


@dataclass(frozen=True)
class Step:
    """A plain layer in place of (a part of) a Keras layer. `origins` numbers its weights among the layer's."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[NDArray[np.float32], ...] = ()
    origins: tuple[int, ...] = ()
    suffix: str = ""


# Layers that both have under the same name, with the settings that matter at inference.
_WINDOW = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")
_POOL = ("pool_size", "strides", "padding")
_SAME: dict[str, tuple[str, ...]] = {
    "Conv2D": ("filters", "groups", *_WINDOW),
    "DepthwiseConv2D": ("depth_multiplier", *_WINDOW),
    "Dense": ("units", "use_bias"),
    "BatchNormalization": ("axis", "epsilon", "center", "scale"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Softmax": ("axis",),
    "ZeroPadding2D": ("padding",),
    "Cropping2D": ("cropping",),
    "MaxPooling2D": _POOL,
    "AveragePooling2D": _POOL,
    "GlobalAveragePooling2D": ("keepdims",),
    "GlobalMaxPooling2D": ("keepdims",),
    "Add": (),
    "Multiply": (),
    "Concatenate": ("axis",),
    "Flatten": (),
    "Reshape": ("target_shape",),
    "Permute": ("dims",),
    "Rescaling": ("scale", "offset"),
}
# Layers that do nothing at inference.
_IDLE = {
    *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization"),
    *("Identity", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast"),
    *("RandomBrightness", "RandomShear", "RandomErasing", "RandomColorJitter", "RandomHue", "RandomSaturation"),
}
_RELUS: dict[str, dict[str, float]] = {
    "relu": {},
    "relu6": {"max_value": 6.0},
    "leaky_relu": {"negative_slope": 0.2},
}
# Activations that mean the same in both, and that TFLite computes in integers.
_ACTIVATIONS = {"sigmoid": "sigmoid", "tanh": "tanh", "silu": "swish", "swish": "swish"}


def translated(node: Any, place: str) -> list[Step]:
    """The plain layers of a node; none for one that does nothing at inference.

    Raises `ModelError`, with the `place` of the layer in the model, for one that has no counterpart.
    """
    operation, kind = node.operation, type(node.operation).__name__
    if not type(operation).__module__.startswith("keras."):
        raise _unknown(place, kind)
    if not hasattr(operation, "get_weights"):
        return [_arithmetic(node, place)]
    settings = operation.get_config()
    if settings.get("data_format", "channels_last") != "channels_last":
        raise _unknown(place, f"{kind} with channels first")
    weights = tuple(np.asarray(array, np.float32) for array in operation.get_weights())
    if kind in _IDLE:
        return []
    if kind in _SPECIAL:
        return _SPECIAL[kind](settings, weights, place)
    if kind not in _SAME:
        raise _unknown(place, kind)
    taken = {name: settings[name] for name in _SAME[kind] if name in settings}
    plain = Step(kind, taken, weights, tuple(range(len(weights))))
    return [plain, *_activation(settings.get("activation", "linear"), place, suffix="_activation")]


def _activation(function: Any, place: str, suffix: str = "") -> list[Step]:
    """A fused activation as a layer of its own; none for the linear one."""
    if function is None or function == "linear":
        return []
    if not isinstance(function, str):
        raise _unknown(place, "an activation of its own")
    if function in _RELUS:
        return [Step("ReLU", _RELUS[function], suffix=suffix)]
    if function == "softmax":
        return [Step("Softmax", suffix=suffix)]
    if function not in _ACTIVATIONS:
        raise _unknown(place, f"the activation {function}")
    return [Step("Activation", {"activation": _ACTIVATIONS[function]}, suffix=suffix)]


def _leaky(settings: Mapping[str, Any], weights: Any, place: str) -> list[Step]:
    return [Step("ReLU", {"negative_slope": float(settings["negative_slope"])})]


def _separable(settings: Mapping[str, Any], weights: Any, place: str) -> list[Step]:
    """Its two convolutions, one after the other."""
    shared = {name: settings[name] for name in ("kernel_size", "strides", "padding", "dilation_rate")}
    first = {**shared, "depth_multiplier": settings["depth_multiplier"], "use_bias": False}
    second = {"filters": settings["filters"], "kernel_size": 1, "use_bias": settings["use_bias"]}
    steps = [
        Step("DepthwiseConv2D", first, weights[:1], (0,), suffix="_depthwise"),
        Step("Conv2D", second, weights[1:], tuple(range(1, len(weights))), suffix="_pointwise"),
    ]
    return steps + _activation(settings["activation"], place, suffix="_activation")


def _normalisation(settings: Mapping[str, Any], weights: Any, place: str) -> list[Step]:
    """Given or learned statistics of the pixels' channels, as a scale and an offset of each channel."""
    if settings["axis"] not in (-1, 3, [-1], [3], (-1,), (3,)):
        raise _unknown(place, f"Normalization over the axes {settings['axis']}")
    given = settings.get("mean") is not None
    mean, variance = (settings["mean"], settings["variance"]) if given else weights[:2]
    scale = 1 / np.maximum(np.sqrt(np.asarray(variance, np.float64)), 1e-7).ravel()
    offset = -np.asarray(mean, np.float64).ravel() * scale
    if settings.get("invert"):
        scale, offset = 1 / scale, np.asarray(mean, np.float64).ravel()
    return [Step("Rescaling", {"scale": scale.tolist(), "offset": offset.tolist()})]


_SPECIAL: dict[str, Callable[[Mapping[str, Any], Any, str], list[Step]]] = {
    "LeakyReLU": _leaky,
    "SeparableConv2D": _separable,
    "Normalization": _normalisation,
    "Activation": lambda settings, weights, place: _activation(settings["activation"], place),
}


def _arithmetic(node: Any, place: str) -> Step:
    """Arithmetic written into the graph, as in `x / 127.5 - 1`."""
    kind, values = type(node.operation).__name__, node.arguments.args
    if len(node.input_tensors) == 2 and kind in ("Add", "Multiply"):
        return Step(kind)
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) != 1 or len(values) != 2:
        raise _unknown(place, kind)
    number, first = float(numbers[0]), isinstance(values[0], int | float)
    affine = {
        "Add": (1.0, number),
        "Multiply": (number, 0.0),
        "Subtract": (-1.0, number) if first else (1.0, -number),
        "TrueDivide": None if first else (1 / number, 0.0),
        "Divide": None if first else (1 / number, 0.0),
    }.get(kind)
    if affine is None:
        raise _unknown(place, kind)
    return Step("Rescaling", {"scale": affine[0], "offset": affine[1]})


def _unknown(place: str, what: str) -> ModelError:
    return ModelError(f"The layer '{place}' ({what}) cannot be trained for integers. Use a recipe that does not train.")
