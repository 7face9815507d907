"""Generated projects: filled from the contract, and giving the runtime's pixels and answers where they can be run.

Python and C++ are run, the C++ client in LiteRT by tests/test_deploy_pages.py. Kotlin and Swift are parsed, and Kotlin
is compiled where there is a compiler.
"""

import ctypes
import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeproof.deploy import codegen, targets, tflm
from edgeproof.runtime import Classifier, decoding, interpreter
from edgeproof.runtime.errors import ConfigError, ModelError
from edgeproof.runtime.pixels import Preprocessing, Resize, _resized

STUBS = Path(__file__).with_name("stubs")
# Where each target says what the contract says.
SAYS = {
    "android-kotlin": "classifier/src/main/kotlin/org/example/classifier/Contract.kt",
    "ios-swift": "Sources/Classifier/Contract.swift",
    "cpp": "contract.",
    "python": "classify.py",
    "c-array": "contract.",
    "arduino": "classifier/contract.",
}
CHANGES = {
    "size": {
        "preprocessing": Preprocessing(steps=(Resize(width=4, height=4), Resize(width=23, height=17))),
        "input": {"shape": (1, 17, 23, 3)},
    },
    "resampling": {
        "preprocessing": Preprocessing(steps=(Resize(width=4, height=4), Resize(width=8, height=8, resample="lanczos")))
    },
    "fit": {"preprocessing": Preprocessing(steps=(Resize(width=4, height=4, fit="crop"), Resize(width=8, height=8)))},
    "background": {
        "preprocessing": Preprocessing(
            steps=(Resize(width=4, height=4), Resize(width=8, height=8)), background=(11, 22, 33)
        )
    },
    "input's zero point": {"input": {"zero_point": 77}},
    "input's scale": {"input": {"scale": 0.0123}},
    "output's zero point": {"output": {"zero_point": 99}},
    "output's scale": {"output": {"scale": 0.0123}},
    "labels": {"labels": ("violet", "green", "blue", "grey")},
}
needs_gxx = pytest.mark.skipif(not shutil.which("g++"), reason="no g++ on the PATH")


def project(subject, name, **options):
    """The files of a project in memory; the arena is not asked for."""
    target = targets.named(name)
    return codegen.contents(subject, target, **({"arena": 12345} if target.micro else {}), **options)


def put(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def said(files, name):
    """What a project says of the contract, but for what identifies the file."""
    text = "".join(content.decode() for path, content in sorted(files.items()) if path.startswith(SAYS[name]))
    return re.sub(r"\b[0-9a-f]{64}\b|(kModelBytes =) \d+", r"\1", text)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout


def spoil(folder):
    """Expect the answers of other pictures."""
    table = folder / "golden" / "expected.txt"
    rows = [line.split() for line in table.read_text().splitlines()]
    others = [rows[-1], *rows[:-1]]
    table.write_text("".join(" ".join([*row[:3], *other[3:]]) + "\n" for row, other in zip(rows, others, strict=True)))


# --- every target ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_one_constant_changes_every_target(change, tiny_int8_bytes, altered):
    before, after = altered(tiny_int8_bytes), altered(tiny_int8_bytes, **CHANGES[change])
    for name in targets.NAMES:
        assert said(project(before, name), name) != said(project(after, name), name), name


def test_what_a_project_says_of_the_contract_is_the_same_for_another_file_with_the_same(tiny_int8_bytes, altered):
    before, after = altered(tiny_int8_bytes), altered(tiny_int8_bytes, provenance={"another": "file"})
    assert before.content != after.content
    for name in targets.NAMES:
        assert said(project(before, name), name) == said(project(after, name), name), name


@pytest.mark.parametrize("name", targets.NAMES)
def test_the_model_file_is_copied_byte_for_byte_and_no_other_size_is_left_over(name, tiny_int8_bytes, altered):
    files = project(altered(tiny_int8_bytes), name)
    model = targets.named(name).model
    assert not model or files[model] == tiny_int8_bytes
    for path, content in files.items():
        if path != model and not path.endswith("model_data.cc"):
            assert not re.search(rb"\b(224|299|127\.5|0\.00392\d*)\b", content), path
            assert b"{{" not in content.replace(b"{{255", b""), path


def test_a_project_without_golden_examples_has_no_test_of_them(tiny_int8_bytes, altered):
    for name in targets.NAMES:
        assert not [path for path in project(altered(tiny_int8_bytes), name) if "olden" in path]


def test_the_command_writes_a_project_with_its_list_of_files(edgeproof, tiny_int8_path, tmp_path):
    out = tmp_path / "project"
    status, told, _ = edgeproof("codegen", tiny_int8_path, "--target", "python", "--out", out, "--json")
    assert status == 0
    listed = json.loads(told)["project"]["files"]
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert written == {*listed, codegen.MANIFEST}
    assert (
        json.loads((out / codegen.MANIFEST).read_text())["sha256"]
        == hashlib.sha256(tiny_int8_path.read_bytes()).hexdigest()
    )

    status, _, error = edgeproof("codegen", tiny_int8_path, "--target", "cpp", "--out", out)
    assert (status, len(error.splitlines())) == (2, 1)
    assert edgeproof("codegen", tiny_int8_path, "--target", "cpp", "--out", out, "--overwrite")[0] == 0
    assert (out / "CMakeLists.txt").is_file()
    assert not (out / "classify.py").exists()


def test_what_cannot_be_made_is_refused_in_one_line_and_nothing_is_left(edgeproof, tiny_flatbuffer, tmp_path):
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(tiny_flatbuffer)
    for target, words in (("python", "carries no contract"), ("kotlin", "Did you mean 'android-kotlin'?")):
        status, told, error = edgeproof("codegen", bare, "--target", target, "--out", tmp_path / "out")
        assert (status, told, len(error.splitlines())) == (2, "", 1)
        assert words in error
    assert [path.name for path in tmp_path.iterdir()] == ["bare.tflite"]


def test_a_client_that_cannot_take_the_file_is_not_made(tiny_model_bytes, tiny_int8_bytes, altered, tmp_path):
    with pytest.raises(ModelError, match="takes float32; arduino runs files that take uint8 or int8"):
        project(altered(tiny_model_bytes), "arduino")
    int8 = altered(tiny_int8_bytes, input={"dtype": "int8", "zero_point": -128})
    with pytest.raises(ModelError, match="takes int8; ios-swift runs files that take float32 or uint8"):
        project(int8, "ios-swift")
    assert not [path for path in project(int8, "android-kotlin") if "MediaPipe" in path]
    with pytest.raises(ConfigError, match="--arena is for microcontrollers"):
        codegen.generate(int8.file.path, "python", tmp_path / "out", arena=5)


# --- Python ----------------------------------------------------------------------------------------------------------


def picture_files(folder):
    """Pictures of every kind that the preprocessing treats in a way of its own."""
    draw = np.random.default_rng(3)
    colours = Image.fromarray(draw.integers(0, 256, (31, 45, 4), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x112] = 6
    grey16 = Image.fromarray(draw.integers(0, 65536, (31, 45)).astype(np.uint16))
    for name, picture, options in (
        ("alpha.png", colours, {}),
        ("turned.jpg", colours.convert("RGB"), {"exif": exif, "quality": 95}),
        ("grey.png", colours.convert("L"), {}),
        ("grey-alpha.png", colours.convert("LA"), {}),
        ("palette.png", colours.convert("RGB").convert("P"), {"transparency": 3}),
        ("sixteen.png", grey16, {}),
        ("inks.jpg", colours.convert("CMYK"), {}),
        ("one-bit.png", colours.convert("1"), {}),
        ("tall.png", colours.convert("RGB").resize((6, 90)), {}),
    ):
        picture.save(folder / name, **options)
        yield folder / name


def test_generated_python_reproduces_the_golden_outputs(shipped, tmp_path):
    folder = put(project(shipped, "python"), tmp_path)
    run(sys.executable, "-W", "error", "-m", "unittest", cwd=folder)
    told = run(sys.executable, "classify.py", "golden/00.png", cwd=folder).decode()
    assert told.split("\t")[1].startswith(shipped.contract.golden.examples[0].label)
    # The test can fail.
    spoil(folder)
    assert subprocess.run([sys.executable, "-m", "unittest"], cwd=folder, capture_output=True).returncode


def test_generated_python_gives_the_runtimes_pixels_and_probabilities(shipped, imported, tmp_path):
    module, classifier = (
        imported(put(project(shipped, "python"), tmp_path) / "classify.py"),
        Classifier(shipped.file.path, exact=True),
    )
    client = module.Classifier()
    for path in picture_files(tmp_path):
        pixels = classifier.preprocessing.pixels(path)
        assert np.array_equal(module.pixels(path), pixels), path.name
        assert np.array_equal(client.probabilities(pixels), classifier.probabilities(pixels[np.newaxis])[0]), path.name


def test_generated_python_refuses_another_model_file(tiny_int8_bytes, altered, imported, tmp_path):
    folder = put(project(altered(tiny_int8_bytes), "python"), tmp_path)
    (folder / "model.tflite").write_bytes(tiny_int8_bytes[:-1] + b"x")
    with pytest.raises(ValueError, match="changed or damaged"):
        imported(folder / "classify.py").Classifier()


def test_generated_python_keeps_any_label_and_any_quantisation(tiny_int8_bytes, altered, nasty, imported, tmp_path):
    said = {"dtype": "int8", "scale": 0.37, "zero_point": -100}
    subject = altered(tiny_int8_bytes, labels=nasty, input=said)
    module = imported(put(project(subject, "python"), tmp_path) / "classify.py")
    assert nasty == module.LABELS
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    expected = interpreter._byte_table(subject.contract.input, (0.0, 255.0))[pixels]
    assert np.array_equal(module.tensor(pixels), expected)


# --- C and C++ -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Compile files of a project with the probe; asks of the program come back as bytes."""

    def made(files):
        folder = put(files, tmp_path_factory.mktemp("build"))
        sources = [folder / f"{name}.cc" for name in ("contract", "resample", "tensors")]
        options = ["-std=c++11", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
        run("g++", *options, *sources, STUBS / "probe.cc", "-o", folder / "probe")
        return lambda task, **given: run(folder / "probe", task, **given)

    return made


def resizings():
    """368 pictures to resize, as a probe reads them, and what the runtime makes of them."""
    draw, asked, expected = np.random.default_rng(5), [], []
    for width, height, to_width, to_height in [
        *draw.integers(1, 70, (40, 4)),
        *[(32, 32, 96, 96), (640, 360, 32, 32), (20, 300, 30, 30), (9, 9, 9, 4), (9, 9, 4, 9), (7, 5, 7, 5)],
    ]:
        pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for number, resample in enumerate(("nearest", "bilinear", "bicubic", "lanczos")):
            for crop, fit in enumerate(("stretch", "crop")):
                asked.append(struct.pack("<6i", width, height, to_width, to_height, number, crop) + pixels.tobytes())
                step = Resize(width=int(to_width), height=int(to_height), resample=resample, fit=fit)
                expected.append(np.asarray(_resized(Image.fromarray(pixels), step)).tobytes())
    return struct.pack("<i", len(asked)) + b"".join(asked), b"".join(expected)


@needs_gxx
def test_generated_cpp_gives_the_runtimes_pixels_tensors_and_labels(tiny_int8_bytes, altered, nasty, build):
    said = {"dtype": "int8", "scale": 0.37, "zero_point": -100}
    shape = (1, 16, 8, 3)
    steps = Preprocessing(steps=(Resize(width=8, height=16),))
    subject = altered(
        tiny_int8_bytes, labels=nasty, input={**said, "shape": shape}, output={**said}, preprocessing=steps
    )
    ask = build(project(subject, "c-array"))

    assert ask("labels").decode().split("\0")[:-1] == list(nasty)
    table = interpreter._byte_table(subject.contract.input, (0.0, 255.0))
    assert ask("enter") == table[np.arange(384) % 256].tobytes()
    raw = (np.arange(4) * 37).astype(np.uint8).view(np.int8)
    assert ask("leave") == interpreter._dequantised(raw, subject.contract.output).tobytes()

    asked, expected = resizings()
    assert ask("resize", input=asked) == expected


@needs_gxx
def test_the_array_holds_the_graph_aligned_to_16_bytes(tiny_int8_bytes, altered, tmp_path):
    subject = altered(tiny_int8_bytes)
    folder = put(project(subject, "c-array"), tmp_path)
    run(
        "g++", "-std=c++11", "-Wall", "-Werror", "-shared", "-fPIC", folder / "model_data.cc", "-o", folder / "model.so"
    )
    graph = subject.file.flatbuffer
    found = (ctypes.c_ubyte * len(graph)).in_dll(ctypes.CDLL(folder / "model.so"), "kModelData")
    assert bytes(found) == graph
    assert ctypes.addressof(found) % 16 == 0


@needs_gxx
def test_clients_of_tflite_micro_compile_against_its_declarations(shipped, tmp_path):
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{STUBS / 'cpp'}"]
    folder = put(project(shipped, "c-array"), tmp_path / "array")
    run("g++", *options, folder / "micro_classifier.cc", folder / "golden_test.cc", folder / "golden_data.cc")
    sketch = put(project(shipped, "arduino"), tmp_path / "arduino") / "classifier"
    run("g++", *options, f"-I{sketch}", "-x", "c++", sketch / "classifier.ino")
    assert b"kArenaBytes = 12345;" in (folder / "micro_classifier.h").read_bytes()
    assert b"MicroMutableOpResolver<9>" in (folder / "micro_classifier.cc").read_bytes()


def test_the_arena_is_what_tflite_micro_takes(tiny_model_bytes, altered, monkeypatch):
    pytest.importorskip("tflite_micro", reason="needs the micro extra")
    found, memory = [], tflm.memory
    monkeypatch.setattr(tflm, "memory", lambda flatbuffer: found.append(memory(flatbuffer)) or found[0])
    files = codegen.contents(altered(tiny_model_bytes), targets.named("c-array"))
    assert found[0].arena_bytes > 1024
    assert f"kArenaBytes = {found[0].arena_bytes};" in files["micro_classifier.h"].decode()


def test_an_arena_that_is_not_known_must_be_given(tiny_int8_bytes, altered, monkeypatch):
    monkeypatch.setattr(codegen, "find_spec", lambda name: None)
    header = codegen.contents(altered(tiny_int8_bytes), targets.named("c-array"))["micro_classifier.h"].decode()
    assert '#error "The tensor arena is not known' in header


# --- Kotlin and Swift ------------------------------------------------------------------------------------------------


def trees(files, name):
    """The syntax tree of every source file of a project."""
    tree_sitter = pytest.importorskip("tree_sitter", reason="needs the dev extra")
    grammar = pytest.importorskip(f"tree_sitter_{name.partition('-')[2]}", reason="needs the dev extra")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    for path, content in files.items():
        if path.endswith((".kt", ".kts", ".swift")):
            yield path, parser.parse(content).root_node


def nodes(root):
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


@pytest.mark.parametrize("name", ["android-kotlin", "ios-swift"])
def test_kotlin_and_swift_parse_whatever_the_file_says(
    name, shipped, tiny_int8_bytes, tiny_model_bytes, altered, nasty
):
    subjects = [shipped, altered(tiny_int8_bytes, labels=nasty), altered(tiny_model_bytes, labels=nasty)]
    if name == "android-kotlin":
        subjects.append(altered(tiny_int8_bytes, input={"dtype": "int8"}, output={"dtype": "int8"}))
    seen = 0
    for subject in subjects:
        for path, root in trees(project(subject, name), name):
            seen += 1
            broken = [node for node in nodes(root) if node.is_error or node.is_missing]
            assert not broken, f"{path}: {broken[0].start_point} {broken[0].text[:60]}"
    assert seen > 15


@pytest.mark.parametrize("name", ["android-kotlin", "ios-swift"])
def test_labels_start_no_expression_in_kotlin_and_swift(name, tiny_int8_bytes, altered, nasty):
    files = project(altered(tiny_int8_bytes, labels=nasty), name)
    ((_, root),) = trees({path: content for path, content in files.items() if path == SAYS[name]}, name)
    kinds = {node.type for node in nodes(root)}
    assert "string_literal" in kinds or "line_string_literal" in kinds
    assert not [kind for kind in kinds if "interpol" in kind]


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("kotlinc"), reason="no kotlinc on the PATH (make peers-kotlin brings one)")
def test_kotlin_compiles_against_declarations_and_gives_the_runtimes_pixels(shipped, tmp_path):
    sources = put(project(shipped, "android-kotlin"), tmp_path) / "classifier" / "src"
    parts = [sources / part / "kotlin" for part in ("main", "sharedTest", "test", "androidTest")]
    jar = tmp_path / "all.jar"
    run("kotlinc", "-nowarn", STUBS / "kotlin", STUBS / "Golden.kt", *parts, "-include-runtime", "-d", jar)

    def ask(*task, **given):
        return run("java", "-cp", f"{jar}:{sources / 'sharedTest' / 'resources'}", "GoldenKt", *task, **given)

    assert ask("golden") == b"16 examples, 0 with other pixels\n"
    asked, expected = resizings()
    assert ask("resize", input=asked) == expected
    stored = Image.fromarray(np.random.default_rng(6).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    for orientation, turn in decoding._TURNS.items():
        asked = struct.pack("<3i", *stored.size, orientation) + stored.tobytes()
        assert ask("turn", input=asked) == stored.transpose(turn).tobytes()
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    over = Image.fromarray(np.stack([value, value, value, alpha], axis=-1))
    behind = Image.new("RGBA", over.size, (77, 77, 77, 255))
    assert ask("blend") == Image.alpha_composite(behind, over).getchannel(0).tobytes()
