"""Ranges of activations: what was seen in a tensor, and the ends between which an integer type covers it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.errors import ModelError

Estimator = Literal["min-max", "percentile", "mse"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
Range = tuple[float, float]

BINS = 2048
# A histogram of so many values of a batch is as good as one of all, and takes a hundredth of a second.
SAMPLE = 1_000_000
SHARE = 0.9999
# The search for the least squared error: shrink factors 2**-e, first over a wide grid, then ever closer to the best.
_WIDE = np.arange(8.0)
_CLOSE = np.linspace(-1, 1, 7)
_ROUNDS = 5

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Observer:
    """Minimum, maximum and histogram of one tensor's values, over any number of batches.

    The bins are 2**k wide and begin at multiples of that; k grows as soon as `BINS` of them no longer reach from
    the minimum to the maximum, and then each bin is the exact sum of narrower ones. So neither the order nor the
    size of the batches changes the result, but for what sampling leaves out: of a batch above `SAMPLE` values the
    histogram takes evenly spaced ones. Minimum and maximum are always those of all values.
    """

    name: str = "a tensor"
    minimum: float = math.inf
    maximum: float = -math.inf
    zeros: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def observe(self, values: NDArray[np.float32]) -> None:
        """Add the values of an array of any shape. Raises `ModelError` where one is infinite or no number."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ModelError(
                f"{self.name}: values from {low} to {high} on the calibration pictures. The model overflows; check "
                "its weights and its input range."
            )
        low, high = min(low, self.minimum), max(high, self.maximum)
        exponent = _exponent(low, high)
        first = _bin(low, exponent)
        counts = np.zeros(_bin(high, exponent) - first + 1, np.int64)
        if self.counts.size:
            before = _exponent(self.minimum, self.maximum)
            old = (_bin(self.minimum, before) + np.arange(len(self.counts))) >> min(exponent - before, 62)
            np.add.at(counts, old - first, self.counts)
        stride = _stride(values.size)
        sample = values.reshape(-1)[::stride]
        # A power of two scales floats without rounding, so that a value on an edge stays on it.
        numbers = np.floor(sample * np.float32(2.0**-exponent)).astype(np.int64)
        counts += stride * np.bincount(numbers - first, minlength=len(counts))
        self.minimum, self.maximum, self.counts = low, high, counts
        self.zeros += stride * (sample.size - int(np.count_nonzero(sample)))

    def range(self, estimator: Estimator, *, bits: int = 8, share: float = SHARE) -> Range:
        """(low, high) with low <= 0 <= high, because affine quantisation must hold zero exactly (Jacob et al. 2018).

        "min-max": the least and the greatest value seen, exactly (Krishnamoorthi 2018, "Quantizing deep
        convolutional networks for efficient inference").
        "percentile": what leaves (1 - share) / 2 of the values outside at either end (Wu et al. 2020, "Integer
        quantization for deep learning inference", who take a percentile of the absolute values).
        "mse": what minimises the expected squared error of quantising to 2**bits levels, never beyond what was
        seen (Sung et al. 2015, "Resiliency of deep neural networks under quantization"; Nagel et al. 2021, "A white
        paper on neural network quantization").
        Raises `ValueError` for another estimator, and before anything was observed.
        """
        if not self.counts.size:
            raise ValueError(f"{self.name}: nothing was observed yet.")
        if estimator == "min-max":
            low, high = self.minimum, self.maximum
        elif estimator == "percentile":
            edges, tail = self._edges(), (1 - share) / 2
            low, high = -_percentile(-edges[::-1], self.counts[::-1], tail), _percentile(edges, self.counts, tail)
        elif estimator == "mse":
            low, high = _least_squared_error(self._edges(), self._without_zeros(), 2**bits)
        else:
            raise ValueError(f"Expected an estimator of {', '.join(ESTIMATORS)}; got {estimator!r}.")
        return min(low, 0.0), max(high, 0.0)

    def _edges(self) -> Floats:
        """Where the bins begin and the last ends, shape (bins + 1,), cut to what was seen."""
        exponent = _exponent(self.minimum, self.maximum)
        first = _bin(self.minimum, exponent)
        edges = (first + np.arange(len(self.counts) + 1)) * 2.0**exponent
        return edges.clip(self.minimum, self.maximum)

    def _without_zeros(self) -> NDArray[np.int64]:
        """The counts but for the zeros, which every range holds exactly: half of what a ReLU gives."""
        counts = self.counts.copy()
        if self.zeros:
            counts[-_bin(self.minimum, _exponent(self.minimum, self.maximum))] -= self.zeros
        return counts


def _exponent(low: float, high: float) -> int:
    """The least k at which bins of 2**k suffice; a wider range never gets a smaller one."""
    span = max(high - low, max(abs(low), abs(high)) * 2.0**-20, 2.0**-100)
    exponent = math.frexp(span / BINS)[1] - 1
    while _bin(high, exponent) - _bin(low, exponent) >= BINS:
        exponent += 1
    return exponent


def _bin(value: float, exponent: int) -> int:
    return math.floor(value * 2.0**-exponent)


def _stride(size: int) -> int:
    """The least step that samples at most `SAMPLE` values, and has no factor in common with any axis of the array.

    A step of 12 through pixels of 96 channels would see 8 channels only.
    """
    stride = -(-size // SAMPLE)
    while math.gcd(stride, size) != 1:
        stride += 1
    return stride


def _percentile(edges: Floats, counts: NDArray[np.int64], tail: float) -> float:
    """The value that `tail` of the counted values exceed, taking those of a bin as evenly spread."""
    reached = np.cumsum(counts)
    wanted = (1 - tail) * reached[-1]
    number = int(np.searchsorted(reached, wanted))
    inside = 1 - (reached[number] - wanted) / counts[number]
    return float(edges[number] + inside * (edges[number + 1] - edges[number]))


def _least_squared_error(edges: Floats, counts: NDArray[np.int64], levels: int) -> Range:
    """Search the shrink factors of both ends: a wide grid, then grids a third as wide round the best so far."""
    ends = np.array([min(edges[0], 0.0), max(edges[-1], 0.0)])
    best = np.zeros(2)
    if not ends.any():
        return 0.0, 0.0
    for number in range(_ROUNDS):
        near = _WIDE if number == 0 else _CLOSE / 3 ** (number - 1)
        # An end at zero cannot shrink: the grid of the other is enough.
        grids = [np.unique((near + at).clip(0)) if end else np.zeros(1) for end, at in zip(ends, best, strict=True)]
        tried = np.stack([axis.ravel() for axis in np.meshgrid(*grids, indexing="ij")], axis=1)
        errors = _squared_errors(edges, counts, ends * 2.0**-tried, levels)
        best = tried[errors.argmin()]
    low, high = (ends * 2.0**-best).tolist()
    return low, high


def _squared_errors(edges: Floats, counts: NDArray[np.int64], ranges: Floats, levels: int) -> Floats:
    """The sum of squared errors of each of `ranges`, shape (n, 2), with zero moved onto a level as a quantiser does.

    Values are taken as evenly spread over their bin, and the error is integrated, not sampled at the bin's middle:
    so it is right for steps much wider than a bin (8 bits) and much narrower (16 bits). An edge bin without width
    holds one value alone, as ReLU6 gives many.
    """
    low, high = ranges[:, :1], ranges[:, 1:]
    step = (high - low) / (levels - 1)
    zero = np.rint(-low / step)
    inside = (edges / step).clip(-zero, levels - 1 - zero)
    level = np.rint(inside)
    outside = edges - inside * step
    # The antiderivative of (x - nearest level)**2: a part for each whole step below, and the rest.
    integral = step**3 * (level / 12 + (inside - level) ** 3 / 3) + outside**3 / 3
    widths = np.diff(edges)
    at_point = (edges[:-1] - (level * step)[:, :-1]) ** 2
    mean = np.divide(np.diff(integral), widths, out=at_point, where=widths > 0)
    return np.asarray(mean @ counts)
