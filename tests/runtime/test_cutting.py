import numpy as np

from edgeproof.runtime import cutting
from edgeproof.runtime.engine import interpreters
from edgeproof.runtime.graph import Graph


def test_one_operator_runs_alone_and_the_graph_stays_whole(tiny_flatbuffer):
    graph = Graph.read(tiny_flatbuffer)
    operators = len(graph.operators)
    last = operators - 1
    alone = cutting.part(graph, [last], graph.taken(last), graph.given(last))
    assert [alone.kind(number) for number in range(len(alone.operators))] == [graph.kind(last)]
    interpreter = interpreters().Interpreter(model_content=alone.packed())
    interpreter.allocate_tensors()
    interpreter.invoke()
    given = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert np.prod(given.shape) == np.prod(graph.shape(graph.outputs[0]))
    assert len(graph.operators) == operators
