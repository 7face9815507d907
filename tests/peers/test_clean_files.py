"""The doctor on sound files that other tools made: it must find no error. See docs/results.md."""

import os
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from edgeproof.runtime import doctor
from edgeproof.runtime.chatter import silenced

ROOT = Path(__file__).parents[2]
# Wheels from PyPI that hold models; `make peers` downloads them and installs none.
WHEELS = ROOT / os.environ.get("EDGEPROOF_PEER_WHEELS", ".venv-peers/wheels")
MODELS = [
    (wheel, name)
    for wheel in sorted(WHEELS.glob("*.whl"))
    for name in sorted(zipfile.ZipFile(wheel).namelist())
    if name.endswith(".tflite")
]
DATA = Path(os.environ.get("EDGEPROOF_DATA") or "nowhere")
STOCK = DATA / "models" / "stock-recipe" / "model.keras"


def errors(path):
    return [f"{each.rule} {each.evidence}" for each in doctor.examine(path).findings if each.severity == "error"]


def refusal(content):
    """What LiteRT itself says against a file; empty where it loads it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        with silenced():
            Interpreter(model_content=content, experimental_op_resolver_type=plain).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.peer
@pytest.mark.skipif(not MODELS, reason=f"no wheels with models in {WHEELS}: run `make peers`")
def test_the_wheels_hold_models_of_several_makers():
    assert len({wheel for wheel, _ in MODELS}) >= 3
    assert len(MODELS) >= 10


@pytest.mark.peer
@pytest.mark.parametrize(("wheel", "name"), MODELS, ids=[f"{w.name.split('-')[0]} {Path(n).stem}" for w, n in MODELS])
def test_a_public_model_has_an_error_only_where_litert_lacks_its_operators(wheel, name, tmp_path):
    path = tmp_path / "public.tflite"
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(archive.read(name))
    found, said = errors(path), refusal(path.read_bytes())
    # A model for sounds of any length is refused at the length that its file states; it wants to be resized.
    assert [each.split()[0] for each in found] == (["EP302"] if "custom op" in said else [])


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """What TensorFlow's converter makes of the stock-recipe Keras model, by four of its recipes."""
    tensorflow = pytest.importorskip("tensorflow", reason="needs the train extra")
    import keras

    folder = tmp_path_factory.mktemp("stock")
    model = keras.models.load_model(STOCK)
    pixels = np.random.default_rng(0).uniform(-1, 1, (20, 1, 96, 96, 3)).astype(np.float32)

    def written(name, **settings):
        converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
        for key, value in settings.items():
            setattr(converter, key, value)
        if "float16" in name:
            converter.target_spec.supported_types = [tensorflow.float16]
        if "int8" in name:
            converter.representative_dataset = lambda: ([each] for each in pixels)
            converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tensorflow.uint8
        (folder / f"{name}.tflite").write_bytes(converter.convert())

    small = {"optimizations": [tensorflow.lite.Optimize.DEFAULT]}
    with silenced():
        for name, settings in {"float32": {}, "dynamic": small, "float16": small, "int8": small}.items():
            written(name, **settings)
    return folder


@pytest.mark.data
@pytest.mark.skipif(not STOCK.is_file(), reason="EDGEPROOF_DATA names no folder with models/stock-recipe")
@pytest.mark.filterwarnings("ignore")
def test_files_of_tensorflows_converter_have_no_error(stock):
    assert {path.stem: errors(path) for path in stock.iterdir()} == {
        name: [] for name in ("float32", "dynamic", "float16", "int8")
    }


@pytest.mark.data
@pytest.mark.skipif(not STOCK.is_file(), reason="EDGEPROOF_DATA names no folder with models/stock-recipe")
@pytest.mark.skipif(find_spec("litert_quantizer") is None, reason="needs the train extra (litert-quantizer)")
@pytest.mark.filterwarnings("ignore")
def test_files_of_litert_quantizer_have_no_error(stock, tmp_path):
    from litert_quantizer import recipe
    from litert_quantizer.quantizer import Quantizer

    source = str(stock / "float32.tflite")
    for name in ("dynamic_wi8_afp32", "weight_only_wi8_afp32", "static_wi8_ai8"):
        quantizer = Quantizer(source, getattr(recipe, name)())
        ranges = None
        if quantizer.need_calibration:
            ranges = quantizer.calibrate(pictures(source))
        path = tmp_path / f"{name}.tflite"
        quantizer.quantize(ranges).export_model(str(path))
        assert errors(path) == [], name


def pictures(source):
    """Calibration data of noise, under the input's own name."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(source).get_signature_runner("serving_default")
    name = next(iter(runner.get_input_details()))
    draw = np.random.default_rng(0)
    return {"serving_default": [{name: draw.uniform(-1, 1, (1, 96, 96, 3)).astype(np.float32)} for _ in range(10)]}
