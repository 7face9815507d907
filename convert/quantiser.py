"""A float graph to one with integer weights, by LiteRT's own quantiser; the ranges of activations are given to it."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.errors import ModelError, first_line
from edgeproof.runtime.graph import TYPES, Graph

# One (low, high) in real units for each activation, by the number of its tensor.
Ranges = Mapping[int, tuple[float, float]]
Rules = list[dict[str, Any]]


def float16(graph: Graph) -> Graph:
    """Weights in float16, everything computed in float32."""
    weights = {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"}
    settings = {"weight_tensor_config": weights, "compute_precision": "FLOAT", "explicit_dequantize": True}
    rule = {"regex": ".*", "operation": "*", "algorithm_key": "float_casting", "op_config": settings}
    return _quantised(graph, [rule], {})


def weights8(graph: Graph) -> Graph:
    """Weights in int8 per channel, everything computed in float32."""
    from litert_quantizer import recipe

    return _quantised(graph, recipe.weight_only_wi8_afp32(), {})


def dynamic(graph: Graph, *, least_weights: int = 0) -> Graph:
    """Weights in int8 per channel, activations quantised while the model runs.

    Tensors of fewer than `least_weights` weights stay float.
    """
    from litert_quantizer import recipe

    rules = [dict(rule) for rule in recipe.dynamic_wi8_afp32()]
    for rule in rules:
        rule["op_config"] = {**rule["op_config"], "min_weight_elements": least_weights}
    return _quantised(graph, rules, {})


def static(
    graph: Graph, ranges: Ranges, *, activation_bits: int = 8, in_float: Sequence[int] = (), float_head: bool = False
) -> Graph:
    """Weights in int8 per channel, activations in int8 or int16 by `ranges`; input and output are integers too.

    Operators `in_float` stay as they are, between added DEQUANTIZE and QUANTIZE. With `float_head` the last
    dense layer gives float logits from int8 weights, and what follows it stays float.
    """
    from litert_quantizer import recipe

    rules: Rules = list(recipe.static_wi8_ai8() if activation_bits == 8 else recipe.static_wi8_ai16())
    if float_head:
        logits, *behind = head(graph)
        rules += [{**recipe.dynamic_wi8_afp32()[0], "regex": _exactly(graph, logits)}]
        rules += [_untouched(graph, operator) for operator in behind]
    rules += [_untouched(graph, operator) for operator in in_float]
    found = _quantised(graph, rules, ranges)
    for number, operator in enumerate(found.operators):
        if activation_bits == 16 and found.kind(number) in ("ADD", "SUB"):
            # The quantiser leaves the schema's default, which promises scales that are powers of two.
            operator.builtinOptions.potScaleInt16 = False
    return found


def narrow_biases(graph: Graph) -> int:
    """Give layers of 16-bit activations int32 biases where no sum can overflow; returns how many got one.

    LiteRT then takes its optimised kernels, about three times as fast as those for int64 biases, which depthwise
    layers need all the same.
    """
    narrowed = 0
    for number, operator in enumerate(graph.operators):
        bias = int(operator.inputs[2]) if len(operator.inputs) > 2 else -1
        if graph.kind(number) not in ("CONV_2D", "FULLY_CONNECTED") or bias < 0:
            continue
        weights, values = graph.constant(int(operator.inputs[1])), graph.constant(bias)
        if weights is None or values is None or values.dtype != np.int64:
            continue
        reach = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1) * 2**15 + np.abs(values)
        if reach.max() < 2**31:
            graph.tensors[bias].type = operator.builtinOptions.quantizedBiasType = TYPES["int32"]
            graph.set_constant(bias, values)
            narrowed += 1
    return narrowed


def head(graph: Graph) -> list[int]:
    """The last dense layer and what follows it, where one value a class is all that follows; else nothing."""
    found: list[int] = []
    tensor = graph.outputs[0]
    while (operator := graph.producer(tensor)) is not None:
        found.insert(0, operator)
        if graph.kind(operator) == "FULLY_CONNECTED":
            return found
        if graph.kind(operator) not in ("SOFTMAX", "LOGISTIC") or len(graph.taken(operator)) != 1:
            break
        tensor = graph.taken(operator)[0]
    return []


def _untouched(graph: Graph, operator: int) -> dict[str, Any]:
    return {"regex": _exactly(graph, operator), "operation": "*", "algorithm_key": "no_quantize", "op_config": {}}


def _exactly(graph: Graph, operator: int) -> str:
    """A pattern for the quantiser, which searches it in the names of an operator's outputs, each with a semicolon."""
    names = "".join(f"{graph.name(int(tensor))};" for tensor in graph.operators[operator].outputs)
    return f"^{re.escape(names)}$"


def _quantised(graph: Graph, rules: Rules, ranges: Ranges) -> Graph:
    from litert_quantizer.quantizer import Quantizer

    known = {
        graph.name(tensor): {"min": np.array(low, np.float32), "max": np.array(high, np.float32)}
        for tensor, (low, high) in ranges.items()
    }
    try:
        with _quiet():
            made = Quantizer(graph.packed(), rules).quantize(known or None, enable_progress_report=False)
    # What the quantiser was seen to raise on operators and shapes that it has no rule for.
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise ModelError(f"LiteRT's quantiser cannot handle the model ({first_line(error)[:200]}).") from None
    return _with_old_codes(Graph.read(bytes(made.quantized_model)))


def _with_old_codes(graph: Graph) -> Graph:
    """Name operators in the schema's older field too, where the quantiser leaves 0: OpenVINO takes that for ADD."""
    for code in graph.model.operatorCodes:
        # The older field is a byte; 127 in it says that the newer one is meant.
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    return graph


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser prints a report and warns of its own interpreter."""
    with (
        silenced(),
        warnings.catch_warnings(action="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        yield
