"""A Keras 3 classifier as a flat list of plain layers, which another Keras can build again.

The toolkit of quantisation-aware training works with Keras 2 alone, and only on models without models inside.
Nested models are taken apart here, fused activations become layers of their own, and what does nothing at
inference is left out, so that few kinds of layers with few settings remain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.translation import Step, translated
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.pixels import Pixels

Array = NDArray[np.float32]
# How far the twin's outputs may be from the model's.
TOLERANCE = 1e-4
INPUT = "InputLayer"


@dataclass(frozen=True)
class Layer:
    """One plain layer: `kind` and `settings` as Keras 2 knows them, and the layers whose outputs it takes.

    `origins` says for each of the weights where it stands in the Keras model: (path of the layer, number).
    """

    name: str
    kind: str
    inbound: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[Array, ...] = ()
    origins: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Twin:
    """Layers in an order in which they can be computed: the first is the input, the last gives the output."""

    layers: tuple[Layer, ...]

    def layer(self, name: str) -> Layer:
        """The layer of this name."""
        return next(layer for layer in self.layers if layer.name == name)

    def consumers(self, name: str) -> tuple[Layer, ...]:
        """The layers that take this one's output."""
        return tuple(layer for layer in self.layers if name in layer.inbound)


def describe(model: Any) -> Twin:
    """Take a Keras 3 model of one input and one output apart.

    Raises `ModelError`, with the layer's name, for a layer that has no counterpart.
    """
    walk = _Walk([], {})
    graph = _graph(model, "")
    inputs = graph.inputs[0]
    walk.layers.append(Layer("pixels", INPUT, (), {"shape": list(inputs.shape[1:])}))
    last = walk.through(graph, ["pixels"], "")[0]
    return _needed(walk.layers, last)


def build(twin: Twin, kit: Any, *, after: Callable[[str, Any], Any] = lambda name, output: output) -> Any:
    """The twin as a functional model of `kit`, which is tf_keras (or any module with its layers, Input and Model).

    `after` is given each layer's name and output, and says what the next layers take instead.
    """
    tensors: dict[str, Any] = {}
    for layer in twin.layers:
        if layer.kind == INPUT:
            first = kit.Input(tuple(layer.settings["shape"]), name=layer.name)
            tensors[layer.name] = after(layer.name, first)
            continue
        made = getattr(kit.layers, layer.kind)(name=layer.name, **layer.settings)
        taken = [tensors[name] for name in layer.inbound]
        tensors[layer.name] = after(layer.name, made(taken[0] if len(taken) == 1 else taken))
        made.set_weights(list(layer.weights))
    return kit.Model(first, tensors[twin.layers[-1].name], name="twin")


def check(twin: Any, pixels: Pixels, expected: Array) -> float:
    """The largest difference between a built twin's outputs and the Keras model's on the same pixels.

    Raises `ModelError` with it when it is beyond `TOLERANCE`.
    """
    found = np.asarray(twin(pixels.astype(np.float32), training=False))
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The model's twin for training answers otherwise: outputs differ by up to {difference:.2g}, "
            f"at most {TOLERANCE:g} is allowed. Use a recipe that does not train."
        )
    return difference


def write(twin: Twin, folder: Path) -> None:
    """Leave a twin in a folder, as twin.json and twin.npz."""
    arrays = {f"{n}.{i}": array for n, layer in enumerate(twin.layers) for i, array in enumerate(layer.weights)}
    layers = [
        [layer.name, layer.kind, layer.inbound, dict(layer.settings), layer.origins, len(layer.weights)]
        for layer in twin.layers
    ]
    (folder / "twin.json").write_text(json.dumps(layers), encoding="utf-8")
    np.savez(folder / "twin.npz", **arrays)  # type: ignore[arg-type]  # a stub that knows no keywords


def read(folder: Path) -> Twin:
    """Read what `write` left."""
    layers = []
    with np.load(folder / "twin.npz") as arrays:
        for n, (name, kind, inbound, settings, origins, count) in enumerate(
            json.loads((folder / "twin.json").read_text(encoding="utf-8"))
        ):
            weights = tuple(arrays[f"{n}.{i}"] for i in range(count))
            places = tuple((path, number) for path, number in origins)
            layers.append(Layer(name, kind, tuple(inbound), settings, weights, places))
    return Twin(tuple(layers))


@dataclass
class _Walk:
    """The layers found so far, and how often each name was given."""

    layers: list[Layer]
    taken: dict[str, int]

    def through(self, graph: Any, given: list[str], path: str) -> list[str]:
        """Add the layers of a model that takes the outputs of the layers `given`; names the layers of its outputs."""
        names = {id(tensor): name for tensor, name in zip(graph.inputs, given, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                place = f"{path}/{node.operation.name}".lstrip("/")
                inbound = [names[id(tensor)] for tensor in node.input_tensors]
                inner = _graph(node.operation, place)
                if inner is None:
                    outputs = [self._add(translated(node, place), inbound, place)]
                else:
                    outputs = self.through(inner, inbound, place)
                names |= {id(tensor): name for tensor, name in zip(node.output_tensors, outputs, strict=True)}
        return [names[id(tensor)] for tensor in graph.outputs]

    def _add(self, steps: list[Step], inbound: list[str], place: str) -> str:
        for step in steps:
            name = self._name(place.rpartition("/")[2] + step.suffix)
            origins = tuple((place, number) for number in step.origins)
            self.layers.append(Layer(name, step.kind, tuple(inbound), step.settings, step.weights, origins))
            inbound = [name]
        return inbound[0]

    def _name(self, wanted: str) -> str:
        """A name that TensorFlow takes as a scope, and that no other layer has."""
        plain = re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9_.-]", "_", wanted).lstrip("_") or "layer"
        while True:
            count = self.taken[plain] = self.taken.get(plain, 0) + 1
            name = plain if count == 1 else f"{plain}_{count}"
            if name not in ("pixels", *(layer.name for layer in self.layers)):
                return name


def _graph(operation: Any, place: str) -> Any:
    """The graph of a model, also of a Sequential; None for a layer. Raises `ModelError` for a model without one."""
    graph = getattr(operation, "_functional", None) or operation
    if hasattr(graph, "_nodes_by_depth"):
        return graph
    if hasattr(operation, "_flatten_layers") and list(getattr(operation, "layers", ())):
        raise ModelError(
            f"The model '{place or operation.name}' is computed by code of its own and cannot be taken apart. "
            "Build it of layers, or use a recipe that does not train."
        )
    return None


def _needed(layers: list[Layer], last: str) -> Twin:
    """The layers that the output depends on, of which it is the last."""
    wanted = {last}
    for layer in reversed(layers):
        if layer.name in wanted:
            wanted |= set(layer.inbound)
    return Twin(tuple(layer for layer in layers if layer.name in wanted or layer.kind == INPUT))
