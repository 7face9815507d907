"""What the rules about bytes say in numbers, and where they must be silent. Each rule's defect: tests/seeded."""

import numpy as np

from edgeproof.runtime import modelfile
from edgeproof.runtime.rules_file import RULES


def test_appended_bytes_are_counted_behind_the_model_and_before_an_archive(bases, rules_of):
    flatbuffer = bases.described(bases.floats(), files=())
    assert "500 bytes at the end" in rules_of(RULES, flatbuffer + b"\x01" * 500)["EP110"]
    archived = modelfile.pack(flatbuffer + b"\x01" * 300, {"labels.txt": b"a\n"})
    assert "300 bytes before the appended files" in rules_of(RULES, archived)["EP110"]
    assert "EP110" not in rules_of(RULES, flatbuffer)


def test_a_truncated_file_says_how_much_is_missing(bases, rules_of):
    flatbuffer = bases.described(bases.floats(), files=())
    assert f"{len(flatbuffer) - 3} bytes" in rules_of(RULES, flatbuffer[:-3])["EP102"]
    # A damaged file has one cause, and no list of what follows from it.
    assert set(rules_of(RULES, flatbuffer[:-3])) == {"EP102"}


def test_files_that_a_contract_accounts_for_need_no_name_in_the_metadata(bases, rules_of):
    assert rules_of(RULES, bases.ours(bases.floats(), said={"files": ()})) == {}


def test_small_waste_is_not_told(bases, rules_of):
    graph = bases.floats()
    graph.model.buffers.append(type(graph.model.buffers[0])())
    graph.model.buffers[-1].data = np.zeros(1000, np.uint8)
    assert "EP115" not in rules_of(RULES, graph.packed())
    graph.model.buffers[-1].data = np.zeros(1024, np.uint8)
    assert "1024 bytes" in rules_of(RULES, graph.packed())["EP115"]
