"""Files whose contract says something else than it did, and labels that try to break out of a string."""

import msgspec
import pytest

from edgeproof import models
from edgeproof.deploy import subject
from edgeproof.deploy.subject import Subject
from edgeproof.runtime import contract as contracts
from edgeproof.runtime import labels as label_files
from edgeproof.runtime import modelfile

# One a class of the tiny model.
NASTY = ('say "hi" \\', "cost ${name} $5 \\(name)", "Łódź 猫 🐈 \u202e \u0085 {{ f }} {% raw", "tab\t?? ??/ ' # */ \\n")


@pytest.fixture(scope="session")
def nasty():
    """Four labels with what ends strings, starts expressions, or is no printable sign."""
    return NASTY


@pytest.fixture(scope="session")
def shipped() -> Subject:
    """The shipped file, with its golden examples."""
    return subject.read(models.path(models.CLASSIFIER))


@pytest.fixture
def altered(tmp_path):
    """Write a file again whose contract differs: fields by name, `labels`, and the tensors' by `input` and `output`."""

    def write(content: bytes, *, labels=None, input=None, output=None, **changes) -> Subject:
        path = tmp_path / "altered.tflite"
        path.write_bytes(content)
        file = modelfile.read(path)
        attachments = dict(file.attachments)
        if labels is not None:
            attachments[contracts.LABELS_NAME] = label_files.text(labels).encode()
            changes["labels_sha256"] = contracts.sha256(attachments[contracts.LABELS_NAME])
        for name, said in (("input", input), ("output", output)):
            if said:
                changes[name] = msgspec.structs.replace(getattr(file.contract, name), **said)
        described = msgspec.structs.replace(file.contract, **changes)
        attachments[contracts.CONTRACT_NAME] = contracts.encode(described)
        path.write_bytes(modelfile.pack(file.flatbuffer, attachments))
        return subject.read(path)

    return write
