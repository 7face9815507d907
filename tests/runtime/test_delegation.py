import pytest

from edgeproof.runtime import delegation
from edgeproof.runtime.delegation import Delegation
from edgeproof.runtime.interpreter import Runner


def listed(name, number, inputs, outputs):
    return {"op_name": name, "index": number, "inputs": inputs, "outputs": outputs}


CHAIN = [listed("CONV_2D", 0, [0, 10], [1]), listed("FLOOR", 1, [1], [2]), listed("SOFTMAX", 2, [2, -1], [3])]


def test_without_a_delegate_none_is_taken():
    assert delegation.of(CHAIN) == Delegation(3, 0)


def test_operators_between_a_delegate_s_borders_are_taken_and_others_not():
    two = [listed("DELEGATE", 3, [0, 10], [1]), listed("DELEGATE", 4, [2], [3])]
    assert delegation.of([*CHAIN, *two]) == Delegation(3, 2)


def test_a_delegate_that_took_all_has_all():
    assert delegation.of([*CHAIN, listed("DELEGATE", 3, [0, 10], [3])]) == Delegation(3, 3)


def test_an_interpreter_that_lists_nothing_claims_nothing():
    assert delegation.found(object()) == Delegation(0, 0)


@pytest.mark.parametrize("kernels", ["builtin", "reference"])
def test_only_xnnpack_is_a_delegate(kernels, tiny_flatbuffer):
    whole = Runner(tiny_flatbuffer).delegation()
    assert whole.delegated == whole.operators > 0
    assert Runner(tiny_flatbuffer, kernels=kernels).delegation() == Delegation(whole.operators, 0)
