import json

import pytest

from edgeproof.benchmarks import layer_errors

LAYERS = [
    {"name": name, "damage": damage, "blame": blame, "kind": "left out"}
    for name, damage, blame in (("stem", 0.25, 0.5), ("middle", 0.0, 0.0), ("head", 0.3, 0.1))
]
DIAGNOSIS = {"schema": 1, "model": "tiny", "float_top1": 0.9, "layers": LAYERS}


def test_the_strip_names_the_layers_to_blame_with_their_noise(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the report extra")
    (tmp_path / "diagnosis.json").write_text(json.dumps(DIAGNOSIS))
    (tmp_path / "export").mkdir()
    models = [tmp_path / "export" / "a.tflite", tmp_path / "export" / "b.tflite"]
    (section,) = layer_errors.sections(models)
    assert "Bars of 3 layers, from 1e-06 to 0.3 nats" in section.figures[0].alt
    assert "1 stem 0.25; 3 head 0.3; 2 middle 0." in section.figures[0].caption


def test_files_without_a_diagnosis_have_no_strip(tmp_path):
    assert layer_errors.sections([tmp_path / "a" / "b" / "c.tflite"]) == ()


@pytest.mark.parametrize("content", ["no JSON", json.dumps({**DIAGNOSIS, "schema": 9}), json.dumps({"schema": 1})])
def test_a_diagnosis_that_cannot_be_read_is_left_out_and_told(tmp_path, caplog, content):
    (tmp_path / "diagnosis.json").write_text(content)
    assert layer_errors.sections([tmp_path / "a.tflite"]) == ()
    assert "left out of the page" in caplog.text
