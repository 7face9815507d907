"""Defects of metadata, labels and what the contract says of them."""

from edgeproof.runtime import contract
from seeded.registry import seed


@seed("EP201", "a float input without metadata")
def _(bases):
    return bases.floats().packed()


@seed("EP202", "metadata of -1 to 1 beside a contract of 0 to 255")
def _(bases):
    return bases.ours(bases.floats(), said={"mean": (127.5,), "std": (127.5,), "files": ("labels.txt",)})


@seed("EP202", "a deviation of zero")
def _(bases):
    return bases.foreign(bases.floats(), std=(0.0,))


@seed("EP203", "metadata of -1 to 1 on a uint8 input of scale 1")
def _(bases):
    return bases.foreign(bases.integers(), mean=(127.5,), std=(127.5,))


@seed("EP204", "grey pictures for three channels")
def _(bases):
    return bases.foreign(bases.floats(), colour=2)


@seed("EP205", "metadata of two inputs")
def _(bases):
    return bases.foreign(bases.floats(), inputs=2)


@seed("EP206", "metadata of another kind")
def _(bases):
    return bases.foreign(bases.floats()).replace(b"M001", b"X001")


@seed("EP207", "labels dropped by a tool that rewrote the model")
def _(bases):
    return bases.described(bases.floats())


@seed("EP208", "three labels for four outputs")
def _(bases):
    return bases.foreign(bases.floats(), names=("red", "green", "blue"))


@seed("EP208", "a labels file of five")
def _(bases):
    return bases.foreign(bases.floats()), "red\ngreen\nblue\ngrey\nblack\n"


@seed("EP209", "a background class first")
def _(bases):
    return bases.foreign(bases.floats(), names=("background", "green", "blue", "grey"))


@seed("EP210", "numbers for labels")
def _(bases):
    return bases.foreign(bases.floats(), names=("0", "1", "2", "3"))


@seed("EP211", "labels sorted as text")
def _(bases):
    return bases.foreign(bases.floats(), names=("class 1", "class 10", "class 2", "class 3"))


@seed("EP212", "a label twice")
def _(bases):
    return bases.foreign(bases.floats(), names=("red", "green", "green", "grey"))


@seed("EP213", "a label with a blank behind it")
def _(bases):
    return bases.foreign(bases.floats(), names=("red", "green ", "blue", "grey"))


@seed("EP214", "a contract of another size")
def _(bases):
    return bases.ours(bases.floats(), size=32)


@seed("EP215", "a contract of another scale")
def _(bases):
    graph = bases.integers()
    wrong = contract.TensorFormat(name="pixels", shape=(1, 16, 16, 3), dtype="uint8", scale=1 / 255, zero_point=0)
    return bases.ours(graph, input=wrong)
