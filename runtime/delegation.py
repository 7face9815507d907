"""Which operators of a graph a delegate took: LiteRT lists them beside the delegate's own, and does not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DELEGATE = "DELEGATE"


@dataclass(frozen=True, slots=True)
class Delegation:
    """Operators of the graph as it is in the file, and how many of them run in a delegate."""

    operators: int
    delegated: int


def found(interpreter: Any) -> Delegation:
    """What an interpreter's list of operators tells; none delegated where an older LiteRT has no such list."""
    listing = getattr(interpreter, "_get_ops_details", None)
    return of(listing() if listing is not None else ())


def of(listed: Sequence[Mapping[str, Any]]) -> Delegation:
    """Count the operators that lie between the outputs of the delegates and their inputs."""
    own = [each for each in listed if each["op_name"] != DELEGATE]
    makers = {int(tensor): each for each in own for tensor in each["outputs"]}
    taken: set[int] = set()
    for delegate in (each for each in listed if each["op_name"] == DELEGATE):
        # Weights are among the inputs too, and have no maker.
        border = set(_tensors(delegate["inputs"]))
        open_tensors = list(_tensors(delegate["outputs"]))
        while open_tensors:
            maker = makers.get(open_tensors.pop())
            if maker is not None and int(maker["index"]) not in taken:
                taken.add(int(maker["index"]))
                open_tensors += [tensor for tensor in _tensors(maker["inputs"]) if tensor not in border]
    return Delegation(len(own), len(taken))


def _tensors(numbers: Iterable[Any]) -> Iterable[int]:
    return (int(number) for number in numbers if int(number) >= 0)
