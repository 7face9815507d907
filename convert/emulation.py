"""Where TFLite rounds activations to integers in a lowered twin, and to which range at each place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeproof.convert.twin import INPUT, Layer, Twin, build
from edgeproof.runtime.errors import ModelError
from edgeproof.runtime.pixels import Pixels

Range = tuple[float, float]
# What hands values on, or picks among them, needs no rounding of its own.
_PASSING = (
    *("ZeroPadding2D", "Cropping2D", "MaxPooling2D", "GlobalMaxPooling2D", "Flatten", "Reshape", "Permute"),
    "Softmax",
)
# What TFLite fuses a ReLU into, so that only the ReLU's output is rounded.
_FUSING = ("Conv2D", "DepthwiseConv2D", "Dense", "Add", "Multiply")
# Functions whose range the kernels fix.
_FIXED = {"sigmoid": (0.0, 255 / 256), "tanh": (-1.0, 127 / 128)}
_BATCH = 16
_SAMPLES_A_BATCH = 2048
# Ranges are tried down to this share of what was seen.
_SHRINKING = np.arange(1.0, 0.29, -0.02)


def places(twin: Twin) -> tuple[str, ...]:
    """The layers of a lowered twin whose outputs are rounded. Raises `ModelError` for what has no integer form."""
    found = []
    for layer in twin.layers:
        _check(layer)
        after = twin.consumers(layer.name)
        fused = layer.kind in _FUSING and len(after) == 1 and _is_fusable(after[0])
        if layer.kind not in (INPUT, *_PASSING) and not fused:
            found.append(layer.name)
    return tuple(found)


def ranges(twin: Twin, pixels: Pixels, kit: Any) -> dict[str, Range]:
    """The range of each rounded output: the one of least mean squared error over calibration pictures.

    `pixels` has shape (n, height, width, 3), uint8. Every range holds zero.
    """
    names, last = places(twin), twin.layers[-1]
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    low, high = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    generator = np.random.default_rng(0)
    for outputs in _observed(twin, names, pixels, kit):
        for name, values in outputs.items():
            low[name], high[name] = min(low[name], float(values.min())), max(high[name], float(values.max()))
            # Drawn, since equal strides may meet the same channels again and again.
            drawn = generator.integers(0, values.size, _SAMPLES_A_BATCH)
            samples[name].append(values if name == last.name else values.ravel()[drawn])
    found = {}
    for name in names:
        seen = np.concatenate(samples[name])
        is_logits = name == last.name and last.kind == "Dense"
        found[name] = logit_range(seen) if is_logits else best_range(seen.ravel(), low[name], high[name])
    return {name: _fixed(twin, twin.layer(name), found) or found[name] for name in names}


def peaks(twin: Twin, names: Sequence[str], pixels: Pixels, kit: Any) -> dict[str, NDArray[np.float64]]:
    """The largest magnitude in each channel of these layers' outputs over pixels of shape (n, height, width, 3)."""
    found: dict[str, NDArray[np.float64]] = {}
    for outputs in _observed(twin, names, pixels, kit):
        for name, values in outputs.items():
            largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0).astype(np.float64)
            found[name] = np.maximum(found.get(name, largest), largest)
    return found


def _observed(twin: Twin, names: Sequence[str], pixels: Pixels, kit: Any) -> Iterator[dict[str, NDArray[np.float32]]]:
    """The outputs of these layers, batch by batch."""
    if not names:
        return
    built = build(twin, kit)
    probe = kit.Model(built.inputs[0], [built.get_layer(name).output for name in names])
    for start in range(0, len(pixels), _BATCH):
        given = probe(pixels[start : start + _BATCH].astype(np.float32), training=False)
        outputs = [given] if len(names) == 1 else given
        yield {name: np.asarray(output) for name, output in zip(names, outputs, strict=True)}


def logit_range(logits: NDArray[np.float32]) -> Range:
    """The range of logits, shape (n, classes), whose rounding moves the probabilities least, by their divergence.

    Logits far below the first ones say nothing: their steps are better spent above.
    """
    exact = _log_softmax(logits)
    low, high = min(float(logits.min()), 0.0), max(float(logits.max()), 1e-6)

    def divergence(share: float) -> float:
        rounded = _rounded(logits, share * low, high)
        return float((np.exp(exact) * (exact - _log_softmax(rounded))).sum(axis=1).mean())

    return float(min(np.arange(1.0, 0.0, -0.02), key=divergence)) * low, high


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    moved = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(axis=1, keepdims=True)), np.float64)


def best_range(values: NDArray[np.float32], low: float, high: float) -> Range:
    """Of the ranges from `low` to `high` shrunk towards zero, the one of least squared error on the values."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-6:
        return low, low + 1e-6
    errors = [_squared_error(values, share * low, share * high) for share in _SHRINKING]
    share = float(_SHRINKING[int(np.argmin(errors))])
    return share * low, share * high


def _squared_error(values: NDArray[np.float32], low: float, high: float) -> float:
    return float(np.square(_rounded(values, low, high) - values, dtype=np.float64).mean())


def _rounded(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Values in the 256 steps of a range, one of which is zero."""
    step = (high - low) / 255
    whole = np.clip(np.rint(values / step), np.rint(low / step), np.rint(high / step))
    return np.asarray(whole * step, np.float32)


def _fixed(twin: Twin, layer: Layer, found: Mapping[str, Range]) -> Range | None:
    """The range of a layer that does not choose its own."""
    if layer.kind == "Activation":
        return _FIXED.get(layer.settings["activation"])
    if layer.kind == "Rescaling" and twin.layer(layer.inbound[0]).kind == INPUT and layer.settings["scale"] == 1.0:
        return float(layer.settings["offset"]), 255.0 + float(layer.settings["offset"])
    if layer.kind == "AveragePooling2D":  # its kernel gives what it takes, in the same steps
        source = twin.layer(layer.inbound[0])
        while source.kind in _PASSING:
            source = twin.layer(source.inbound[0])
        return (0.0, 255.0) if source.kind == INPUT else _fixed(twin, source, found) or found[source.name]
    return None


def _is_fusable(layer: Layer) -> bool:
    return layer.kind == "ReLU" and not layer.settings.get("negative_slope")


def _check(layer: Layer) -> None:
    settings = layer.settings
    if layer.kind == "ReLU" and (settings.get("max_value") not in (None, 6.0) or settings.get("threshold")):
        raise ModelError(f"The layer '{layer.name}' (a ReLU cut at {settings.get('max_value')}) has no integer form.")
