import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgeproof.runtime.operator_versions import NEWEST


def refusal(new_graph, kind, version):
    """What LiteRT says of a graph with this operator and this version."""
    parts = new_graph()
    taken, given = parts.tensor("taken", [1]), parts.tensor("given", [1])
    parts.operator(getattr(schema.BuiltinOperator, kind), [taken], given)
    parts.codes[0].deprecatedBuiltinCode = min(127, parts.codes[0].builtinCode)
    parts.codes[0].version = version
    try:
        Interpreter(model_content=parts.packed(taken, given))
    except (RuntimeError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "ADD", "MEAN", "GELU"])
def test_litert_knows_the_newest_version_and_not_the_next(new_graph, kind):
    assert "find op" not in refusal(new_graph, kind, NEWEST[kind])
    # A newer LiteRT may know more; then this table wants to be made again.
    assert "Didn't find op" in refusal(new_graph, kind, NEWEST[kind] + 1)


def test_what_is_not_listed_is_not_run(new_graph):
    assert "STABLEHLO_TANH" not in NEWEST
    assert "Didn't find op" in refusal(new_graph, "STABLEHLO_TANH", 1)


def test_every_name_is_one_of_the_schema():
    assert set(NEWEST) <= set(vars(schema.BuiltinOperator))
