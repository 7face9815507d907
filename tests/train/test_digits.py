import numpy as np
import pytest

from edgeproof.runtime.contract import sha256
from edgeproof.runtime.pixels import Preprocessing, Resize
from edgeproof.train import digits

CHAIN = Preprocessing(steps=(Resize(width=8, height=8), Resize(width=32, height=32)))


@pytest.fixture(scope="module")
def loaded():
    pytest.importorskip("sklearn", reason="needs the train extra")
    return digits.load(CHAIN, 0.2, 1)


def test_the_1797_digits_are_split_and_none_is_in_both_parts(loaded):
    train, test = loaded
    assert len(train) + len(test) == 1797
    assert not set(train.names) & set(test.names)
    assert train.labels == test.labels == tuple("0123456789")


def test_every_digit_stands_in_both_parts_by_the_same_share(loaded):
    train, test = (np.bincount(part.classes, minlength=10) for part in loaded)
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.005)


def test_digits_are_black_on_white_and_grey(loaded):
    stored = loaded[0].stored
    assert stored.dtype == np.uint8
    assert stored.shape[1:] == (8, 8, 3)
    assert (stored[..., 0] == stored[..., 1]).all()
    assert (stored[..., 0] == stored[..., 2]).all()
    assert (stored.min(), stored.max()) == (0, 255)
    assert np.median(stored[:, :, 0]) == 255  # the border is paper


def test_the_names_tell_the_label(loaded):
    for name, number in zip(loaded[1].names, loaded[1].classes, strict=True):
        assert name.startswith(f"digits/{number}/")


def test_the_seed_alone_decides_the_split(loaded):
    assert digits.load(CHAIN, 0.2, 1)[1].names == loaded[1].names
    assert digits.load(CHAIN, 0.2, 2)[1].names != loaded[1].names


def test_arrays_are_brought_to_the_first_size_of_the_chain_and_hashed_there():
    image = np.full((1, 4, 4, 3), 7, np.uint8)
    found = digits.pictures(image, np.array([0]), ("a",), ("a/1",), CHAIN)
    assert found.stored.shape == (1, 8, 8, 3)
    assert found.hashes == (sha256(found.stored[0].tobytes()),)
    assert (found.stored == 7).all()
