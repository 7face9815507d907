import sys

import numpy as np
import pytest

from edgeproof.runtime import Classifier, ModelError, engine


@pytest.fixture
def only(monkeypatch):
    """Leave one package's interpreter, or none, to be imported."""

    def leave(package):
        for name in engine.MODULES:
            if name.partition(".")[0] != package:
                monkeypatch.setitem(sys.modules, name, None)
                if name.partition(".")[0] == "tflite_runtime":
                    monkeypatch.setitem(sys.modules, "tflite_runtime", None)

    return leave


def test_litert_is_what_is_taken():
    assert engine.interpreters().__name__ == "ai_edge_litert.interpreter"


def test_its_predecessor_is_taken_where_it_is_missing(only, monkeypatch):
    # A stand-in: it is not made for this Python any more.
    only("tflite_runtime")
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", sys)
    monkeypatch.setitem(sys.modules, "tflite_runtime", sys)
    assert engine.interpreters() is sys


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_tensorflows_own_interpreter_gives_the_same_answers(only, tiny_model_path, tiny_pictures):
    pytest.importorskip("tensorflow", reason="needs the train extra")
    pixels = tiny_pictures.preprocessing.finished(tiny_pictures.stored)
    expected = Classifier(tiny_model_path).probabilities(pixels)
    only("tensorflow")
    assert engine.interpreters().__name__ == "tensorflow.lite.python.interpreter"
    np.testing.assert_allclose(Classifier(tiny_model_path).probabilities(pixels), expected, atol=1e-6)


def test_where_there_is_none_it_is_said_what_to_install(only, tiny_model_path):
    only(None)
    with pytest.raises(ModelError, match="pip install ai-edge-litert"):
        Classifier(tiny_model_path)


def test_an_interpreter_that_lacks_a_part_of_its_own_is_not_passed_over(monkeypatch, tmp_path):
    (tmp_path / "broken_interpreter.py").write_text("import a_part_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(engine, "MODULES", ("broken_interpreter",))
    with pytest.raises(ModuleNotFoundError, match="a_part_that_is_missing"):
        engine.interpreters()
