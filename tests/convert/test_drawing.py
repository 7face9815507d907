import numpy as np

from edgeproof.convert import drawing


def test_the_same_seed_draws_the_same_pictures_and_another_draws_others():
    first, again, other = (drawing.pictures(3, (24, 32), seed=seed) for seed in (1, 1, 2))
    assert first.shape == (3, 24, 32, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_pictures_have_colours_light_and_shapes_of_all_kinds():
    found = drawing.pictures(40, (32, 32), seed=0).astype(np.float64)
    assert found.reshape(40, -1, 3).mean(axis=1).std(axis=0).min() > 20, "all of one colour"
    assert found.reshape(40, -1).std(axis=1).min() > 10, "a picture of nothing"
    # Edges, which a filter and the nearest pixel resize differently.
    assert (np.abs(np.diff(found, axis=2)).max(axis=(1, 2, 3)) > 60).mean() > 0.8
