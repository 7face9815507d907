"""Netron's parser, Model Explorer and the `tflite` package, in an environment of their own, on exported files."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from edgeproof import models
from edgeproof.runtime import inspection

ROOT = Path(__file__).parents[2]
VIEWERS = ROOT / os.environ.get("EDGEPROOF_PEERS", ".venv-peers") / "viewers"
PYTHON = VIEWERS / "bin" / "python"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PYTHON.is_file(), reason=f"no viewers in {VIEWERS}: run `make peers`"),
]

# Netron's own modules with the part of its page that a parser needs: bytes in, a graph out.
NETRON = """
import * as fs from 'fs';
import * as base from './base.js';
import * as flatbuffers from './flatbuffers.js';
import * as tflite from './tflite.js';
const path = process.argv[2];
const stream = new base.BinaryStream(new Uint8Array(fs.readFileSync(path)));
const context = {
    identifier: path,
    stream,
    peek: async (type) => type === 'flatbuffers.binary' ? flatbuffers.BinaryReader.open(stream) : null,
    set(type, value) { this.type = type; this.value = value; return type; },
    require: async (name) => await import(`${name}.js`),
    metadata: async () => ({ type: (name) => ({ name }), attribute: () => null }),
};
const factory = new tflite.ModelFactory();
if (!await factory.match(context)) throw new Error('no TFLite file to Netron');
const model = await factory.open(context);
const graph = model.modules[0];
console.log(JSON.stringify({
    format: model.format,
    inputs: graph.inputs.map((each) => each.name),
    kinds: graph.nodes.map((node) => node.type.name),
    metadata: model.metadata.map((each) => [each.name, String(each.value)]),
}));
"""
PACKAGE = """
import json, sys
import tflite
model = tflite.Model.GetRootAsModel(open(sys.argv[1], "rb").read(), 0)
graph = model.Subgraphs(0)
codes = [model.OperatorCodes(graph.Operators(i).OpcodeIndex()) for i in range(graph.OperatorsLength())]
kinds = [tflite.opcode2name(code.BuiltinCode()) for code in codes]
print(json.dumps({"kinds": kinds, "input": graph.Tensors(graph.Inputs(0)).Name().decode()}))
"""
EXPLORER = """
import json, sys
import ai_edge_model_explorer_adapter as adapter
print(adapter.ConvertFlatbufferDirectlyToJson(adapter.VisualizeConfig(), sys.argv[1]))
"""


def told(*command, cwd=None):
    found = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd, timeout=120)
    assert found.returncode == 0, found.stderr[-2000:]
    return json.loads(found.stdout)


@pytest.fixture(params=["shipped", "float32", "int8"])
def path(request):
    """The shipped file, and what is exported now."""
    if request.param == "shipped":
        return models.path(models.CLASSIFIER)
    return next(request.getfixturevalue("colour_exports").glob(f"*-{request.param}.tflite"))


@pytest.fixture
def graph(path):
    return inspection.inspect(path).graph


@pytest.fixture
def netron(tmp_path):
    """Netron's modules as a package that Node can import."""
    if not shutil.which("node"):
        pytest.skip("no node on the PATH")
    (source,) = VIEWERS.glob("lib/python3*/site-packages/netron")
    for name in ("base", "flatbuffers", "flexbuffers", "zip", "tflite", "tflite-schema"):
        shutil.copy(source / f"{name}.js", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "read.js").write_text(NETRON)
    return tmp_path


def test_netron_s_parser_shows_every_operator_and_the_metadata(path, graph, netron):
    found = told("node", "read.js", path, cwd=netron)
    assert found["format"] == "TensorFlow Lite v3"
    # Netron writes Conv2D for CONV_2D.
    ours = Counter(each.kind.replace("_", "").lower() for each in graph.operators)
    assert Counter(kind.lower() for kind in found["kinds"]) == ours
    assert len(found["inputs"]) == 1


def test_the_tflite_package_reads_every_operator(path, graph):
    found = told(PYTHON, "-c", PACKAGE, path)
    if path == models.path(models.CLASSIFIER) and "DEQUANTIZE" not in found["kinds"]:
        pytest.skip("the shipped file is older than the names in the schema's older field (convert/quantiser.py)")
    assert found["kinds"] == [each.kind for each in graph.operators]
    assert found["input"] == graph.tensors[graph.inputs[0]].name


def test_model_explorer_shows_every_operator(path, graph):
    found = told(PYTHON, "-c", EXPLORER, path)
    (shown,) = found["graphs"] if "graphs" in found else found[0]["subgraphs"]
    labels = Counter(node["label"].upper() for node in shown["nodes"])
    for kind, count in graph.kinds.items():
        assert labels[kind] == count, labels
