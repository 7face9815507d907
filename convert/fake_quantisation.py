"""Rounding to integers as TensorFlow computes it in floats, with gradients that pass it by, and its way to a file.

Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference".
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from edgeproof.convert.emulation import Range
from edgeproof.convert.lowering import WEIGHTED
from edgeproof.convert.twin import Layer, Twin, build
from edgeproof.runtime.chatter import silenced

# The axes of a kernel that share a step: TFLite has one for each output channel.
AXES = {"Conv2D": (0, 1, 2), "DepthwiseConv2D": (0, 1), "Dense": (0,)}
PIXELS: Range = (0.0, 255.0)


def rounded(values: Any, bounds: Range) -> Any:
    """Activations in the 256 steps of a range; the gradient passes within it."""
    return tf.quantization.fake_quant_with_min_max_args(values, *bounds)


def rounded_kernel(kernel: Any, axes: tuple[int, ...]) -> Any:
    """A kernel in 255 steps, symmetric about zero and as large as its weights over `axes` ask for."""
    steps = tf.maximum(tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True), 1e-12) / 127
    return kernel + tf.stop_gradient(tf.round(kernel / steps) * steps - kernel)


def units(model: Any, given: Twin, ranges: Mapping[str, Range]) -> dict[str, Any]:
    """The units of the training's steps: a kernel's largest weight in each channel, and the range of the outputs.

    Weights that are exactly zero have none, so that a pruned model stays pruned.
    """
    found: dict[str, Any] = {}
    for layer in given.layers:
        if layer.kind in WEIGHTED:
            kernel, *bias = _variables(model, layer)
            values = kernel.numpy()
            largest = np.abs(values).max(axis=AXES[layer.kind], keepdims=True)
            found[kernel.name] = np.where(values == 0, 0, largest)
            low, high = ranges.get(layer.name) or ranges[given.consumers(layer.name)[0].name]
            found |= {each.name: np.float32(high - low) for each in bias}
    return found


def trained(model: Any, given: Twin) -> Twin:
    """The twin with the weights of its quantisation-aware model, the kernels rounded."""
    layers = []
    for layer in given.layers:
        if layer.kind in WEIGHTED:
            kernel, *bias = _variables(model, layer)
            exact = rounded_kernel(kernel, AXES[layer.kind])
            layer = replace(layer, weights=(exact.numpy(), *(each.numpy() for each in bias)))
        layers.append(layer)
    return Twin(tuple(layers))


def _variables(model: Any, layer: Layer) -> list[Any]:
    """The kernel, then the bias where there is one, of a layer in the quantisation-aware model."""
    return sorted(model.get_layer(layer.name).trainable_weights, key=lambda each: -len(each.shape))


def converted(twin: Twin, ranges: dict[str, Range], kit: Any) -> bytes:
    """A lowered twin with rounded kernels as an int8 flatbuffer that takes uint8 pixels, each byte for itself.

    It gives uint8 probabilities where the twin ends in a softmax, else float32 of what the last layer gives.
    """
    bounds = {twin.layers[0].name: PIXELS, **ranges}

    def after(name: str, output: Any) -> Any:
        return rounded(output, bounds[name]) if name in bounds else output

    model = build(twin, kit, after=after)
    shape = (1, *twin.layers[0].settings["shape"])
    function = tf.function(lambda pixels: model(pixels, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32, name="pixels"))
    # The converter warns that no statistics are given: they are in the graph.
    with silenced(), warnings.catch_warnings(action="ignore", category=UserWarning):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.uint8 if twin.layers[-1].kind == "Softmax" else tf.float32
        return bytes(converter.convert())
