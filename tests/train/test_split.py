import numpy as np
import pytest

from edgeproof.train.split import balanced_sample, stratified

CLASSES = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [40, 20, 10, 5])).astype(np.int64)


def counts(chosen, classes=CLASSES):
    return np.bincount(classes[chosen], minlength=4).tolist()


def test_the_same_share_of_every_class_is_held_back():
    rest, held_back = stratified(CLASSES, 0.2, 1)
    assert counts(held_back) == [8, 4, 2, 1]
    assert counts(rest) == [32, 16, 8, 4]


def test_both_parts_together_are_every_index_once_and_in_ascending_order():
    rest, held_back = stratified(CLASSES, 0.3, 1)
    assert sorted([*rest, *held_back]) == list(range(len(CLASSES)))
    assert (np.diff(rest) > 0).all()
    assert (np.diff(held_back) > 0).all()


def test_the_seed_alone_decides_the_split():
    assert stratified(CLASSES, 0.2, 1)[1].tolist() == stratified(CLASSES.copy(), 0.2, 1)[1].tolist()
    assert stratified(CLASSES, 0.2, 1)[1].tolist() != stratified(CLASSES, 0.2, 2)[1].tolist()


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_at_least_one_of_each_class_stays_on_either_side(share):
    rest, held_back = stratified(CLASSES, share, 0)
    assert min(counts(rest)) >= 1
    assert min(counts(held_back)) >= 1


def test_a_class_of_one_stays_whole_in_the_first_part():
    rest, held_back = stratified(np.array([0, 0, 0, 1]), 0.5, 0)
    assert 3 in rest
    assert 3 not in held_back


def test_nothing_is_split_into_nothing():
    rest, held_back = stratified(np.array([], np.int64), 0.5, 0)
    assert (rest.tolist(), held_back.tolist()) == ([], [])


def test_a_sample_takes_as_many_of_each_class_as_can_be():
    assert counts(balanced_sample(CLASSES, 20, 0)) == [5, 5, 5, 5]
    assert counts(balanced_sample(CLASSES, 26, 0)) == [7, 7, 7, 5]
    assert sum(counts(balanced_sample(CLASSES, 6, 0))) == 6
    assert max(counts(balanced_sample(CLASSES, 6, 0))) == 2


def test_a_sample_holds_no_index_twice_and_at_most_all():
    chosen = balanced_sample(CLASSES, 1000, 0)
    assert sorted(chosen.tolist()) == list(range(len(CLASSES)))


def test_a_sample_depends_on_the_seed_and_mixes_the_classes():
    assert balanced_sample(CLASSES, 20, 3).tolist() == balanced_sample(CLASSES, 20, 3).tolist()
    assert balanced_sample(CLASSES, 20, 3).tolist() != balanced_sample(CLASSES, 20, 4).tolist()
    order = CLASSES[balanced_sample(CLASSES, 20, 3)]
    assert (np.diff(order) < 0).any()


def test_fewer_places_than_classes_go_to_classes_that_the_seed_chooses():
    many = np.repeat(np.arange(50), 4)
    chosen = [set(many[balanced_sample(many, 10, seed)].tolist()) for seed in range(5)]
    assert all(len(classes) == 10 for classes in chosen)
    assert len({frozenset(classes) for classes in chosen}) == 5
    assert max(max(classes) for classes in chosen) > 30


def test_a_sample_of_nothing_is_empty():
    assert balanced_sample(np.array([], np.int64), 5, 0).tolist() == []
    assert balanced_sample(CLASSES, 0, 0).tolist() == []


def test_indices_that_are_passed_over_are_replaced_by_others_of_their_class():
    chosen = balanced_sample(CLASSES, 12, 0).tolist()
    others = balanced_sample(CLASSES, 12, 0, without=chosen[:2])
    assert counts(others) == [3, 3, 3, 3]
    assert not set(chosen[:2]) & set(others.tolist())
    assert set(chosen[2:]) <= set(others.tolist())


def test_passing_over_what_was_not_chosen_changes_nothing():
    chosen = balanced_sample(CLASSES, 12, 0)
    others = sorted(set(range(len(CLASSES))) - set(chosen.tolist()))[:5]
    assert balanced_sample(CLASSES, 12, 0, without=others).tolist() == chosen.tolist()


def test_a_class_that_is_passed_over_as_a_whole_gives_its_places_to_others():
    whole = np.flatnonzero(CLASSES == 2).tolist()
    assert counts(balanced_sample(CLASSES, 12, 0, without=whole)) == [4, 4, 0, 4]
    assert all(counts(balanced_sample(CLASSES, 3, seed, without=whole)) == [1, 1, 0, 1] for seed in range(5))
