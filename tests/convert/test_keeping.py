import numpy as np
import pytest
from msgspec import structs

from edgeproof.convert import keeping, verification
from edgeproof.convert.verification import Evidence

PAIR = {".bin": b"weights", ".xml": b"graph"}


@pytest.fixture
def accepted(tiny_pictures):
    outputs = np.eye(4, dtype=np.float32)[tiny_pictures.classes]
    return verification.judge(
        outputs, Evidence(tiny_pictures, outputs), file="name", recipe="any", content=b"", max_drop=0.0
    )


def test_accepted_files_stand_under_their_name_and_the_result_names_the_one_to_open(accepted, tmp_path):
    assert keeping.keep(accepted, PAIR, tmp_path, "name").file == "name.xml"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "name.bin": b"weights",
        "name.xml": b"graph",
    }


def test_refused_files_replace_accepted_ones_of_an_earlier_run_and_the_other_way_round(accepted, tmp_path):
    refused = structs.replace(accepted, accepted=False)
    keeping.keep(accepted, PAIR, tmp_path, "name")
    assert keeping.keep(refused, PAIR, tmp_path, "name").file == "name.rejected.xml"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["name.rejected.bin", "name.rejected.xml"]
    keeping.keep(accepted, PAIR, tmp_path, "name")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["name.bin", "name.xml"]
