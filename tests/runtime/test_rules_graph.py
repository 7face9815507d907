"""Where the rules about operators must be silent. Each rule's defect: tests/seeded."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.rules_graph import RULES


def with_shape(bases, shape):
    """The float graph with a RESHAPE before its dense layer."""
    graph = bases.floats()
    layer = next(n for n in range(len(graph.operators)) if graph.kind(n) == "FULLY_CONNECTED")
    taken = int(graph.operators[layer].inputs[0])
    given = copy.copy(graph.tensors[taken])
    wanted = copy.copy(graph.tensors[taken])
    wanted.type, wanted.shape = schema.TensorType.INT32, [len(shape)]
    buffer, code, operator = schema.BufferT(), schema.OperatorCodeT(), schema.OperatorT()
    buffer.data = np.frombuffer(np.array(shape, np.int32).tobytes(), np.uint8)
    graph.model.buffers.append(buffer)
    wanted.buffer = len(graph.model.buffers) - 1
    graph.tensors += [given, wanted]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    graph.model.operatorCodes.append(code)
    operator.opcodeIndex = len(graph.model.operatorCodes) - 1
    operator.inputs, operator.outputs = [taken, len(graph.tensors) - 1], [len(graph.tensors) - 2]
    graph.operators[layer].inputs = [len(graph.tensors) - 2, *graph.operators[layer].inputs[1:]]
    graph.operators.insert(layer, operator)
    return graph.packed()


def test_a_reshape_of_any_batch_is_no_harm(bases, rules_of):
    assert "EP305" not in rules_of(RULES, with_shape(bases, [-1, 32]))
    assert "the shape begins with 1" in rules_of(RULES, with_shape(bases, [1, 32]))["EP305"]
    assert "EP305" in rules_of(RULES, with_shape(bases, [1, -1]))


def test_a_fixed_batch_may_be_in_a_signature(bases, rules_of):
    graph = bases.floats()
    graph.tensors[graph.inputs[0]].shapeSignature = [1, 16, 16, 3]
    assert rules_of(RULES, graph.packed()) == {}


def test_an_addition_of_two_activations_is_no_batch_norm(bases, rules_of):
    # The residual network adds activations behind convolutions without activation.
    assert "EP310" not in rules_of(RULES, bases.floats().packed())


def test_a_softmax_counts_through_what_only_changes_the_type(bases, rules_of):
    assert "EP311" not in rules_of(RULES, bases.integers().packed())
    graph = bases.integers()
    softmax = next(n for n in range(len(graph.operators)) if graph.kind(n) == "SOFTMAX")
    graph.operators[softmax + 1].inputs = [int(graph.operators[softmax].inputs[0])]
    del graph.operators[softmax]
    assert "FULLY_CONNECTED" in rules_of(RULES, graph.packed())["EP311"]


def test_the_newest_version_that_litert_runs_is_not_too_new(bases, rules_of):
    graph = bases.floats()
    code = graph.model.operatorCodes[graph.operators[0].opcodeIndex]
    code.version = 8
    assert "EP304" not in rules_of(RULES, graph.packed())
    code.version = 9
    assert rules_of(RULES, graph.packed())["EP304"] == "CONV_2D version 9; LiteRT 2.3 runs it up to version 8"
