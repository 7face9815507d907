"""Channels of a lowered twin scaled against each other, so that rounding costs less; the function stays.

A channel is scaled where it is made and back where it is taken, as in Nagel et al. 2019 ("Data-free quantization
through weight equalization and bias correction"). Unlike `equalisation.py`, whose weights are rounded with care
afterwards, this shares the loss between activations and weights rounded to the nearest step, as a training has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeproof.convert.emulation import peaks
from edgeproof.convert.lowering import WEIGHTED, Channels, replaced, scaled_inputs, scaled_outputs
from edgeproof.convert.twin import Layer, Twin
from edgeproof.runtime.pixels import Pixels

# What gives a scaled channel for a scaled channel.
_PASSING = (
    *("ZeroPadding2D", "Cropping2D", "MaxPooling2D", "AveragePooling2D"),
    *("GlobalAveragePooling2D", "GlobalMaxPooling2D"),
)
# How far beyond what calibration saw a channel under a ReLU6 may still go, and how often a channel is doubled at most.
_MARGIN = 1.1
_LARGEST = 50.0


def balanced(twin: Twin, pixels: Pixels, kit: Any) -> Twin:
    """The twin with its channels balanced by what they show on calibration pixels, shape (n, height, width, 3).

    A channel under a ReLU6 that goes further on other pictures than calibration saw is cut earlier than before.
    """
    activations = [layer.name for layer in twin.layers if layer.kind == "ReLU"]
    seen = peaks(twin, activations, pixels, kit)
    for name in activations:
        twin = _balance_activation(twin, twin.layer(name), seen[name])
    return twin


def _balance_activation(twin: Twin, activation: Layer, reach: Channels) -> Twin:
    """What a ReLU or a ReLU6 gives, where one layer makes it and one takes it."""
    maker, taker = twin.layer(activation.inbound[0]), _taker(twin, activation.name)
    if taker is None or maker.kind not in WEIGHTED or len(twin.consumers(maker.name)) != 1:
        return twin
    if taker.weights[0].shape[-2] != len(reach) or activation.settings.get("threshold"):
        return twin
    cut = activation.settings.get("max_value")
    top = float(cut or reach.max())
    full = top / np.maximum(_MARGIN * reach, top / _LARGEST)
    scale = full if taker.kind == "DepthwiseConv2D" else np.sqrt(full * _shares(taker))
    if cut is not None:
        # A channel that is cut must be cut where it was.
        kept = reach >= 0.98 * top
        if taker.kind != "DepthwiseConv2D" and kept.any():
            scale = scale / np.median(scale[kept])
        scale = np.where(reach >= top / _MARGIN, 1.0, np.clip(scale, 1.0, full))
    scale = np.where(reach > 1e-6, scale, 1.0)
    twin = replaced(twin, maker.name, [scaled_outputs(maker, scale, np.zeros_like(scale))])
    return replaced(twin, taker.name, [scaled_inputs(twin.layer(taker.name), 1 / scale, np.zeros_like(scale))])


def _taker(twin: Twin, name: str) -> Layer | None:
    """The only layer with weights that takes a layer's output, perhaps behind pooling and padding."""
    while len(after := twin.consumers(name)) == 1 and after[0].kind in _PASSING:
        name = after[0].name
    return after[0] if len(after) == 1 and after[0].kind in WEIGHTED else None


def _shares(layer: Layer) -> Channels:
    """How large the weights that take each channel get, as a share of the largest of their output's."""
    kernel = np.abs(layer.weights[0]).astype(np.float64)
    if layer.kind == "DepthwiseConv2D":
        return np.ones(kernel.shape[2])
    largest = kernel.reshape(-1, *kernel.shape[-2:]).max(axis=0)
    return np.asarray((largest / np.maximum(largest.max(axis=0), 1e-12)).max(axis=1), np.float64)
