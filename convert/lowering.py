"""Rewrites of a twin that leave its outputs as they are, and leave what TFLite computes in integers.

Batch norm goes into the layer before it, with its statistics as they are (Jacob et al. 2018, 3.2), and the scaling
of pixels into the first convolution, so that bytes go in as they are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.twin import Layer, Twin
from edgeproof.runtime.errors import ModelError

Channels = NDArray[np.float64]
WEIGHTED = ("Conv2D", "DepthwiseConv2D", "Dense")
_PIXEL_CHANNELS = 3
_FLAT = ("Flatten", "Reshape", "Permute", "Dense")


def lowered(twin: Twin) -> Twin:
    """The same function without batch norm, and with no scaling that a convolution can take over.

    Raises `ModelError` for a batch norm that stands where no layer can take it over.
    """
    for rewrite in (_fold_batch_norm, _replace_batch_norm, _fold_pixel_scaling, _split_scaling):
        twin = rewrite(twin)
    return twin


def without_softmax(twin: Twin) -> Twin:
    """The twin up to its logits. Raises `ModelError` when the last layer is no softmax over the classes."""
    last = twin.layers[-1]
    if last.kind != "Softmax" or len(twin.layers) < 3:
        raise ModelError(f"The model ends in '{last.name}' ({last.kind}); training needs a softmax at its end.")
    return _ending(Twin(twin.layers[:-1]), last.inbound[0])


def _fold_batch_norm(twin: Twin) -> Twin:
    while (found := _foldable(twin)) is not None:
        before, norm = found
        scale, offset = _affine_of(norm)
        layer = replace(scaled_outputs(before, scale, offset), name=before.name)
        twin = replaced(twin, before.name, [layer])
        twin = _without(twin, norm.name)
    return twin


def _foldable(twin: Twin) -> tuple[Layer, Layer] | None:
    for norm in twin.layers:
        if norm.kind == "BatchNormalization":
            before = twin.layer(norm.inbound[0])
            if before.kind in WEIGHTED and len(twin.consumers(before.name)) == 1:
                return before, norm
    return None


def scaled_outputs(layer: Layer, scale: Channels, offset: Channels) -> Layer:
    """The layer with its outputs taken times `scale` plus `offset`."""
    kernel = layer.weights[0].astype(np.float64)
    bias = layer.weights[1].astype(np.float64) if layer.settings["use_bias"] else np.zeros(len(scale))
    shape = kernel.shape[-2:] if layer.kind == "DepthwiseConv2D" else (-1,)
    return _weighted(layer, kernel * scale.reshape(shape), bias * scale + offset)


def _weighted(layer: Layer, kernel: Channels, bias: Channels) -> Layer:
    weights = (kernel.astype(np.float32), bias.astype(np.float32))
    return replace(layer, settings={**layer.settings, "use_bias": True}, weights=weights, origins=())


def _affine_of(norm: Layer) -> tuple[Channels, Channels]:
    """Scale and offset of each channel that a batch norm comes to at inference."""
    axis = norm.settings["axis"]
    if axis not in (-1, 1, 3, [-1], [3], [1]) or (axis in (1, [1]) and norm.weights[-1].ndim != 1):
        raise ModelError(f"The layer '{norm.name}' normalises along axis {axis}; the channels, -1, are expected.")
    values = [array.astype(np.float64) for array in norm.weights]
    gamma = values.pop(0) if norm.settings["scale"] else np.ones_like(values[-1])
    beta = values.pop(0) if norm.settings["center"] else np.zeros_like(values[-1])
    mean, variance = values
    scale = gamma / np.sqrt(variance + float(norm.settings["epsilon"]))
    return scale, beta - mean * scale


def _replace_batch_norm(twin: Twin) -> Twin:
    """A batch norm that no layer before it can take: a depthwise convolution of one pixel does the same."""
    for norm in [layer for layer in twin.layers if layer.kind == "BatchNormalization"]:
        scale, offset = _affine_of(norm)
        if _is_flat(twin, norm.inbound[0]):
            twin = _fold_into_dense(twin, norm, scale, offset)
        else:
            twin = replaced(twin, norm.name, [_depthwise(norm, scale, offset)])
    return twin


def _is_flat(twin: Twin, name: str) -> bool:
    """Whether a layer gives one row of values a picture."""
    layer = twin.layer(name)
    while layer.kind in ("ReLU", "Activation", "Rescaling", "BatchNormalization", "Add", "Multiply", "Concatenate"):
        layer = twin.layer(layer.inbound[0])
    return layer.kind in _FLAT or (layer.kind.startswith("Global") and not layer.settings.get("keepdims"))


def _fold_into_dense(twin: Twin, norm: Layer, scale: Channels, offset: Channels) -> Twin:
    consumers = twin.consumers(norm.name)
    if len(consumers) != 1 or consumers[0].kind != "Dense":
        raise ModelError(
            f"The layer '{norm.name}' (BatchNormalization) has no layer beside it that can take it over in integers. "
            "Use a recipe that does not train."
        )
    dense = consumers[0]
    kernel = dense.weights[0].astype(np.float64)
    bias = dense.weights[1] if dense.settings["use_bias"] else np.zeros(kernel.shape[1])
    return _without(
        replaced(twin, dense.name, [_weighted(dense, kernel * scale[:, np.newaxis], bias + offset @ kernel)]),
        norm.name,
    )


def _depthwise(layer: Layer, scale: Channels, offset: Channels) -> Layer:
    settings = {"kernel_size": 1, "use_bias": True}
    kernel = scale.reshape(1, 1, -1, 1).astype(np.float32)
    return Layer(layer.name, "DepthwiseConv2D", layer.inbound, settings, (kernel, offset.astype(np.float32)))


def _fold_pixel_scaling(twin: Twin) -> Twin:
    """Scale in the kernel of the first convolution; what is left is taking one whole number from the bytes.

    The number stands for the value zero, which is what a convolution pads with. Where it lies between two bytes,
    the border is half a step off, and nothing else.
    """
    scale, offset, chain = np.ones(_PIXEL_CHANNELS), np.zeros(_PIXEL_CHANNELS), []
    name = twin.layers[0].name
    while len(after := twin.consumers(name)) == 1 and after[0].kind == "Rescaling":
        factor, added = (np.asarray(after[0].settings[key], np.float64) for key in ("scale", "offset"))
        scale, offset, name = scale * factor, offset * factor + added, after[0].name
        chain.append(after[0])
    if not chain:
        return twin
    for layer in chain[:-1]:
        twin = _without(twin, layer.name)
    last = replace(chain[-1], inbound=(twin.layers[0].name,))
    padding = [layer for layer in after if len(after) == 1 and layer.kind == "ZeroPadding2D"]
    first = twin.consumers(padding[0].name) if padding else after
    zero = _zero_byte(scale, offset, padded=bool(padding) or first[0].settings.get("padding") == "same")
    if len(first) != 1 or first[0].kind not in ("Conv2D", "DepthwiseConv2D") or zero is None:
        return replaced(twin, last.name, [_depthwise(last, scale, offset)])
    twin = replaced(twin, first[0].name, [scaled_inputs(first[0], scale, offset + scale * zero)])
    if zero == 0:
        return _without(twin, last.name)
    return replaced(twin, last.name, [replace(last, settings={"scale": 1.0, "offset": -float(zero)})])


def _zero_byte(scale: Channels, offset: Channels, *, padded: bool) -> int | None:
    """The byte that stands for zero in all channels; 0 where it does not matter; None where they do not agree."""
    if not padded:
        return 0
    if (scale == 0).any():
        return None
    bytes_ = np.unique(np.rint(-offset / scale + 1e-6))
    return int(bytes_[0]) if len(bytes_) == 1 and 0 <= bytes_[0] <= 255 else None


def scaled_inputs(layer: Layer, scale: Channels, offset: Channels) -> Layer:
    """A convolution for which inputs are taken times `scale` plus `offset` (but where it pads)."""
    kernel = layer.weights[0].astype(np.float64)
    bias = layer.weights[1].astype(np.float64) if layer.settings["use_bias"] else 0.0
    moved = kernel * offset[:, np.newaxis]
    summed = (0, 1) if layer.kind == "DepthwiseConv2D" else tuple(range(kernel.ndim - 1))
    constant = moved.sum(axis=summed).ravel()
    return _weighted(layer, kernel * scale[:, np.newaxis], constant + bias)


def _split_scaling(twin: Twin) -> Twin:
    """Scaling further inside: its two steps one by one, since each has a range of its own."""
    for layer in [layer for layer in twin.layers if layer.kind == "Rescaling"]:
        scale, offset = (np.asarray(layer.settings[key], np.float64) for key in ("scale", "offset"))
        if (scale != 1).any() and (offset != 0).any():
            first = replace(layer, name=f"{layer.name}_scale", settings={**layer.settings, "offset": 0.0})
            second = replace(layer, inbound=(first.name,), settings={**layer.settings, "scale": 1.0})
            twin = replaced(twin, layer.name, [first, second])
    return twin


def replaced(twin: Twin, name: str, layers: list[Layer]) -> Twin:
    """These layers in place of the one named; the last of them has its name."""
    found: list[Layer] = []
    for layer in twin.layers:
        found += layers if layer.name == name else [layer]
    return Twin(tuple(found))


def _without(twin: Twin, name: str) -> Twin:
    """The twin without a layer of one input; its consumers take that input."""
    source = twin.layer(name).inbound[0]
    was_last = twin.layers[-1].name == name
    layers = [
        replace(layer, inbound=tuple(source if taken == name else taken for taken in layer.inbound))
        for layer in twin.layers
        if layer.name != name
    ]
    return _ending(Twin(tuple(layers)), source) if was_last else Twin(tuple(layers))


def _ending(twin: Twin, name: str) -> Twin:
    """The twin with the named layer as its output, for which it has to be the last."""
    rest = [layer for layer in twin.layers if layer.name != name]
    return Twin((*rest, twin.layer(name)))
