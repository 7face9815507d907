"""Keras layers behind operators, from the names that TensorFlow's scopes left in a file's tensors."""

from __future__ import annotations

import re

# What TensorFlow calls the operation of a layer: a fused tensor's name is a list, and one of these says whose it is.
OPERATIONS = ("convolution", "Conv2D", "depthwise", "MatMul", "Mean", "Softmax", "Pad")
_SUFFIX = re.compile(r"_\d+$")


def layer(tensor: str) -> str:
    """The Keras layer that a tensor's name tells: `Conv1` of `net_1/Conv1_relu_1/Relu6;net_1/Conv1_1/convolution`.

    Empty where the name holds no scope, as in files whose names were taken out.
    """
    paths = [part.split("/") for part in tensor.split(";") if "/" in part]
    if not paths:
        return ""
    chosen = next((path for wanted in OPERATIONS for path in paths if path[-1].startswith(wanted)), paths[0])
    # A second call of a model gives all its scopes, its own included, the same number.
    number = _SUFFIX.search(chosen[0])
    name = chosen[-2]
    return name.removesuffix(number.group()) if number and len(chosen) > 2 else name
