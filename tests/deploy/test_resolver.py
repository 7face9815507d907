"""The kernels that a graph needs in TFLite Micro."""

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeproof.deploy import resolver
from edgeproof.runtime.errors import ModelError


def test_each_kind_of_operator_is_called_once(tiny_flatbuffer, shipped):
    assert resolver.calls(tiny_flatbuffer) == ("AddFullyConnected", "AddMean", "AddSoftmax")
    calls = resolver.calls(shipped.file.flatbuffer)
    assert len(set(calls)) == len(calls)
    assert {"AddConv2D", "AddDepthwiseConv2D", "AddQuantize"} <= set(calls)


def test_every_name_is_an_operator_of_the_schema():
    assert set(resolver.KERNELS) <= {name for name in vars(schema.BuiltinOperator) if name.isupper()}


def test_an_operator_without_a_kernel_is_named(new_graph):
    parts = new_graph()
    first, last = parts.tensor("pixels", [1, 8, 8, 3]), parts.tensor("given", [1, 8, 8, 3])
    options = schema.GeluOptionsT()
    parts.operator(schema.BuiltinOperator.ADD, [first], last, schema.BuiltinOptions.GeluOptions, options)
    code = parts.codes[-1]
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.GELU, 127
    with pytest.raises(ModelError, match=r"TFLite Micro has no kernel of GELU\. Convert the model without"):
        resolver.calls(parts.packed(first, last))
