"""Where the rules about floats beside integers must be silent. Each rule's defect: tests/seeded."""

import copy

from ai_edge_litert import schema_py_generated as schema

from edgeproof.runtime.rules_mixed import RULES


def test_float_arithmetic_between_an_integer_input_and_output_is_no_island(make_flatbuffer, rules_of):
    assert rules_of(RULES, make_flatbuffer(quantised=True)) == {}


def test_a_purely_float_and_a_purely_integer_graph_have_nothing_mixed(bases, rules_of):
    assert rules_of(RULES, bases.floats().packed()) == {}
    assert rules_of(RULES, bases.integers().packed()) == {}


def with_float_end(bases, *, at_the_input):
    """An integer graph whose first or last step is a float operator between a DEQUANTIZE and a QUANTIZE."""
    graph = bases.integers()
    place = 0 if at_the_input else len(graph.operators) - 1
    old = graph.operators[place]
    taken, given = int(old.inputs[0]), int(old.outputs[0])
    real, shown = (copy.copy(graph.tensors[taken]) for _ in range(2))
    for tensor in (real, shown):
        tensor.type, tensor.quantization, tensor.buffer = schema.TensorType.FLOAT32, None, 0
        graph.tensors.append(tensor)
    count = len(graph.tensors)
    steps = [("DEQUANTIZE", taken, count - 2), ("ABS", count - 2, count - 1), ("QUANTIZE", count - 1, given)]
    del graph.operators[place]
    for number, (kind, source, target) in enumerate(steps):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        graph.model.operatorCodes.append(code)
        operator.opcodeIndex = len(graph.model.operatorCodes) - 1
        operator.inputs, operator.outputs = [source], [target]
        graph.operators.insert(place + number, operator)
    return graph.packed()


def test_a_float_beginning_and_a_float_end_are_no_islands(bases, rules_of):
    assert rules_of(RULES, with_float_end(bases, at_the_input=True)) == {}
    assert rules_of(RULES, with_float_end(bases, at_the_input=False)) == {}
