"""`edgeproof micro`: what a file needs on a microcontroller, and that it answers there as in LiteRT."""

import json

import numpy as np
import pytest
from msgspec import structs

from edgeproof.deploy import micro
from edgeproof.runtime import testset
from edgeproof.runtime.errors import VerificationError

pytest.importorskip("tflite_micro", reason="needs the micro extra")


@pytest.fixture(scope="module")
def report(tiny_model_bytes, tiny_pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("micro")
    (folder / "tiny.tflite").write_bytes(tiny_model_bytes)
    testset.write(folder / testset.NAME, tiny_pictures)
    return micro.examine(folder / "tiny.tflite", data=folder, limit=11)


def test_a_report_has_arena_flash_operators_and_agreement(report, tiny_flatbuffer):
    assert report.memory.arena_bytes == micro.arena(tiny_flatbuffer)
    assert report.flash_bytes == len(tiny_flatbuffer)
    assert report.operators == {"FULLY_CONNECTED": 1, "MEAN": 1, "SOFTMAX": 1}
    assert (report.fits_ram, report.fits_flash, report.golden) == (True, True, None)
    assert (report.test.images, report.test.same_top1) == (11, 11)
    assert report.test.largest_difference < 1e-6


def test_pictures_are_spread_over_the_whole_set(report, tiny_model_bytes, tiny_pictures, tmp_path, monkeypatch):
    (tmp_path / "tiny.tflite").write_bytes(tiny_model_bytes)
    testset.write(tmp_path / testset.NAME, tiny_pictures)
    given = []
    monkeypatch.setattr(micro, "compare", lambda flatbuffer, pixels, kernels: given.append(pixels) or report.test)
    micro.examine(tmp_path / "tiny.tflite", data=tmp_path / testset.NAME, limit=4)
    means = given[0].mean(axis=(1, 2))
    # One of each colour: red, green, blue, grey.
    assert [int(mean.argmax()) for mean in means[:3]] == [0, 1, 2]
    assert np.ptp(means[3]) < 60


def test_other_answers_than_litert_s_fail_the_gate(report):
    micro.gate(report)
    wrong = structs.replace(report, test=structs.replace(report.test, same_top1=10))
    with pytest.raises(VerificationError, match=r"agree on 90\.9% of the test pictures, below 99%"):
        micro.gate(wrong)


def test_a_file_beyond_a_limit_fails_the_gate_and_one_at_it_does_not(report):
    arena, flash = report.memory.arena_bytes, report.flash_bytes
    micro.gate(report, ram_bytes=arena, flash_bytes=flash)
    with pytest.raises(VerificationError, match=f"arena of {arena} bytes, above {arena - 1} of RAM"):
        micro.gate(report, ram_bytes=arena - 1)
    with pytest.raises(VerificationError, match=f"{flash} bytes, above {flash - 1} of flash"):
        micro.gate(report, flash_bytes=flash - 1)


def test_the_command_tells_people_and_programs_the_same(edgeproof, tiny_model_path, narrow):
    status, told, _ = edgeproof("micro", tiny_model_path)
    assert status == 0
    status, document, _ = edgeproof("micro", tiny_model_path, "--json", "--max-ram", 1)
    assert status == 1
    found = json.loads(document)["micro"]
    assert str(found["memory"]["arena_bytes"]) in told
    assert "fits 512 KiB of RAM" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_file_that_cannot_run_there_is_refused_in_one_line(edgeproof, tiny_int8_path):
    status, told, error = edgeproof("micro", tiny_int8_path)
    assert (status, told) == (2, "")
    assert "QUANTIZE" in error
    assert len(error.splitlines()) == 1
