import msgspec
import numpy as np
import pytest

from edgeproof.convert import convergence
from edgeproof.convert.ranges import Observer


def test_a_movement_is_the_greater_change_of_the_ends_over_the_later_width():
    found = convergence.judge({10: {"a": (-1.0, 2.0)}, 20: {"a": (-1.0, 3.0)}, 40: {"a": (-2.0, 3.5)}})
    assert found.images == (10, 20, 40)
    assert found.movement == found.largest == (pytest.approx(1 / 4), pytest.approx(1 / 5.5))


def test_nine_of_ten_tensors_and_the_last_one_are_told_apart():
    before = {f"t{number}": (0.0, 1.0) for number in range(21)}
    after = before | {"t0": (0.0, 2.0), "t1": (0.0, 1.25)}
    found = convergence.judge({100: before, 200: after})
    assert found.movement == (0,)
    assert found.largest == (0.5,)


@pytest.mark.parametrize(
    ("of_all", "of_one", "converged"),
    [(0.0, 0.0, True), (0.04, 0.04, True), (0.06, 0.06, False), (0.01, 0.19, True), (0.01, 0.21, False)],
)
def test_settled_ranges_move_little_in_nine_of_ten_tensors_and_in_none_very_much(of_all, of_one, converged):
    before = {f"t{number}": (0.0, 1 - of_all) for number in range(30)} | {"one": (0.0, 1 - of_one)}
    assert convergence.judge({250: before, 500: dict.fromkeys(before, (0.0, 1.0))}).converged is converged


def test_only_the_last_step_decides():
    growing = {1: {"a": (0.0, 1.0)}, 2: {"a": (0.0, 9.0)}, 4: {"a": (0.0, 9.1)}}
    assert convergence.judge(growing).converged
    assert not convergence.judge(dict(zip((1, 2, 4), reversed(growing.values()), strict=True))).converged


def test_the_sentence_says_how_much_moved_and_what_to_do():
    before = {f"t{number}": (0.0, 0.992) for number in range(30)} | {"one": (0.0, 0.969)}
    after = dict.fromkeys(before, (0.0, 1.0))
    assert convergence.judge({125: after, 250: before, 500: after}).sentence == (
        "From 250 to 500 images the ranges moved by up to 0.8 % in nine of ten tensors (3.1 % at most): "
        "more images would change little."
    )
    assert convergence.judge({40: {"a": (0.0, 0.86)}, 80: {"a": (0.0, 1.0)}}).sentence == (
        "From 40 to 80 images the ranges still moved by up to 14.0 % in nine of ten tensors (14.0 % at most): "
        "give more images."
    )


def test_tensors_of_nothing_but_zeros_have_settled_and_one_that_becomes_so_has_not():
    assert convergence.judge({1: {"a": (0.0, 0.0)}, 2: {"a": (0.0, 0.0)}}).movement == (0,)
    assert convergence.judge({1: {"a": (0.0, 1.0)}, 2: {"a": (0.0, 0.0)}}).movement == (1,)


def test_the_result_can_be_written_and_read():
    found = convergence.judge({1: {"a": (0.0, 1.0)}, 2: {"a": (0.0, 1.01)}})
    assert msgspec.json.decode(msgspec.json.encode(found), type=convergence.Convergence) == found


@pytest.mark.parametrize("images", [[], [10], [20, 10]])
def test_fewer_than_two_growing_numbers_are_the_callers_mistake(images):
    with pytest.raises(ValueError, match="Expected ranges at two or more growing numbers of images"):
        convergence.judge({number: {"a": (0.0, 1.0)} for number in images})


@pytest.mark.parametrize(("first", "last"), [({"a": (0.0, 1.0)}, {}), ({"a": (0.0, 1.0)}, {"b": (0.0, 1.0)}), ({}, {})])
def test_other_tensors_at_the_end_than_at_the_start_or_none_are_the_callers_mistake(first, last):
    with pytest.raises(ValueError, match="Expected the ranges of the same tensors"):
        convergence.judge({1: first, 2: last})


@pytest.mark.parametrize(
    ("images", "expected"), [(500, (62, 125, 250, 500)), (8, (1, 2, 4, 8)), (3, (1, 3)), (2, (1, 2)), (1, (1,))]
)
def test_doublings_end_at_all_pictures(images, expected):
    assert convergence.doublings(images) == expected


@pytest.mark.parametrize("estimator", ["min-max", "percentile", "mse"])
def test_a_real_layer_settles_on_many_digits_and_not_on_few(estimator):
    pytest.importorskip("sklearn", reason="needs the train extra")
    from sklearn.datasets import load_digits

    digits = load_digits().images[np.random.default_rng(0).permutation(1797)].astype(np.float32)
    filters = np.random.default_rng(1).normal(size=(16, 9)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(digits, (3, 3), axis=(1, 2)).reshape(len(digits), -1, 9)
    maps = (windows @ filters.T).clip(0)  # a convolution with ReLU: shape (images, 36, 16)
    observers, history = [Observer(str(number)) for number in range(16)], {}
    for start, end in zip((0, 1, 2, 400, 800), (1, 2, 400, 800, 1600), strict=True):
        for number, observer in enumerate(observers):
            observer.observe(maps[start:end, :, number])
        history[end] = {each.name: each.range(estimator) for each in observers}
    few = convergence.judge({images: history[images] for images in (1, 2)})
    many = convergence.judge({images: history[images] for images in (400, 800, 1600)})
    assert not few.converged
    assert many.converged
    assert few.movement[0] > 4 * many.movement[-1]
