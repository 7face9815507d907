"""The same network in fewer passes over memory, which is what its training on a processor waits for.

Keras computes a batch norm as several operations on whole feature maps. One in inference mode is a scale and an offset
a channel: folded into the kernel of the convolution before it, it costs next to nothing. One in training mode is
TensorFlow's fused kernel. Variables, outputs and gradients are those of the network as it was, but for rounding.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import tensorflow as tf

from edgeproof.train import distribution, network


class FoldedConvolution(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A convolution and the batch norm in inference mode behind it, as one convolution with a bias."""

    def __init__(self, convolution: Any, norm: Any) -> None:
        super().__init__(name=f"{convolution.name}_folded")
        self.convolution, self.norm = convolution, norm
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Feature maps of shape (n, height, width, channels), float32."""
        scale, offset = _affine(self.norm)
        layer = self.convolution
        kernel, strides, padding = tf.convert_to_tensor(layer.kernel), (1, *layer.strides, 1), layer.padding.upper()
        if layer.use_bias:
            offset += layer.bias * scale
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            outputs = tf.nn.depthwise_conv2d(inputs, kernel * scale[:, tf.newaxis], strides, padding)
        else:
            outputs = tf.nn.conv2d(inputs, kernel * scale, strides, padding)
        return tf.nn.bias_add(outputs, offset)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As Keras asks for it, which would trace `call` otherwise."""
        return tuple(self.convolution.compute_output_shape(input_shape))


class FusedNorm(keras.layers.Layer):  # type: ignore[misc]  # as above
    """A batch norm that is trained, by TensorFlow's fused kernel."""

    def __init__(self, norm: Any) -> None:
        super().__init__(name=f"{norm.name}_fused")
        self.norm = norm
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Feature maps of shape (n, height, width, channels), float32. In training, moves the moving statistics."""
        norm = self.norm
        if not training:
            scale, offset = _affine(norm)
            return inputs * scale + offset
        gamma, beta = tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, epsilon=norm.epsilon, is_training=True
        )
        # The kernel's variance is that of a population from which this is a sample; Keras keeps the sample's own.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        for moving, found in ((norm.moving_mean, mean), (norm.moving_variance, variance * (count - 1) / count)):
            moving.assign(moving * norm.momentum + found * (1 - norm.momentum))
        return outputs

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As above."""
        return input_shape


def fused(model: Any) -> Any:
    """A model of the same variables that is trained faster; the model itself where there are GPUs or several workers.

    To be called when it is settled which layers are trained.
    """
    if distribution.strategy().num_replicas_in_sync > 1 or tf.config.list_physical_devices("GPU"):
        return model
    foldable = _foldable(model)
    folded = {convolution.name for convolution in foldable.values()}

    def called(layer: Any, *inputs: Any, **options: Any) -> Any:
        if layer.name in folded:
            return inputs[0]  # its norm does it
        if layer.name in foldable:
            return FoldedConvolution(foldable[layer.name], layer)(*inputs)
        if _is_plain_norm(layer) and layer.trainable:
            return FusedNorm(layer)(*inputs)
        return layer(*inputs, **options)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=called)


def _affine(norm: Any) -> tuple[Any, Any]:
    """What a batch norm in inference mode multiplies with and adds, each of shape (channels,)."""
    scale = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    return scale, norm.beta - norm.moving_mean * scale


def _foldable(model: Any) -> dict[str, Any]:
    """The convolution before each batch norm in inference mode, by the norm's name, where nothing else takes it."""
    nodes = network.nodes(model)
    taken = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    taken.update(map(id, model.outputs))
    calls = Counter(node.operation.name for node in nodes)
    made = {id(tensor): node.operation for node in nodes for tensor in node.output_tensors}
    found = {}
    for node in nodes:
        norm = node.operation
        if not _is_plain_norm(norm) or norm.trainable:
            continue
        tensor = node.input_tensors[0]
        before: Any = made.get(id(tensor))
        if _is_plain_convolution(before) and taken[id(tensor)] == calls[before.name] == calls[norm.name] == 1:
            found[norm.name] = before
    return found


def _is_plain_norm(layer: Any) -> bool:
    """Whether a layer is a batch norm over the last axis, with scale and offset."""
    if type(layer) is not keras.layers.BatchNormalization or layer.renorm or not (layer.scale and layer.center):
        return False
    return layer.axis in (-1, 3) and len(layer.input.shape) == 4


def _is_plain_convolution(layer: Any) -> bool:
    """Whether a layer is a convolution, full or depthwise, and nothing more."""
    if type(layer) not in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D):
        return False
    single = getattr(layer, "groups", 1) == getattr(layer, "depth_multiplier", 1) == 1 == max(layer.dilation_rate)
    return single and layer.data_format == "channels_last" and layer.activation is keras.activations.linear
