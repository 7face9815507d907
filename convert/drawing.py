"""Drawn pictures: patches of colour with shapes on them, for examples that show nobody's data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeproof.runtime.pixels import Pixels

SHAPES = 4


def pictures(count: int, size: tuple[int, int], *, seed: int) -> Pixels:
    """Draw pictures of shape (count, height, width, 3), uint8; the same seed draws the same."""
    draw = np.random.default_rng(seed)
    return np.stack([_picture(size, draw) for _ in range(count)])


def _picture(size: tuple[int, int], draw: np.random.Generator) -> Pixels:
    rows, columns = (np.linspace(-1, 1, length) for length in size)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    canvas = _patches(x, y, draw)
    for _ in range(draw.integers(1, SHAPES + 1)):
        inside = _shape(x, y, draw)
        texture = 25 * np.sin(draw.uniform(5, 25) * (x * draw.uniform(-1, 1) + y * draw.uniform(-1, 1)))
        canvas = np.where(inside[..., np.newaxis], draw.uniform(0, 255, 3) + texture[..., np.newaxis], canvas)
    return (canvas + draw.normal(0, 4, canvas.shape)).clip(0, 255).astype(np.uint8)


def _patches(x: NDArray[np.float64], y: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    """A background of a few colours that flow into one another."""
    centers, colours = draw.uniform(-1, 1, (5, 2)), draw.uniform(0, 255, (5, 3))
    away = (x[..., np.newaxis] - centers[:, 0]) ** 2 + (y[..., np.newaxis] - centers[:, 1]) ** 2
    share = np.exp(-3 * away)
    return np.asarray(share @ colours / share.sum(axis=-1, keepdims=True), np.float64)


def _shape(x: NDArray[np.float64], y: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.bool_]:
    """The inside of a turned ellipse or rectangle."""
    angle, (left, top), (wide, high) = draw.uniform(0, np.pi), draw.uniform(-0.7, 0.7, 2), draw.uniform(0.15, 0.8, 2)
    across = (x - left) * np.cos(angle) + (y - top) * np.sin(angle)
    along = (y - top) * np.cos(angle) - (x - left) * np.sin(angle)
    if draw.random() < 0.5:
        return np.asarray((across / wide) ** 2 + (along / high) ** 2 < 1)
    return np.asarray((np.abs(across) < wide) & (np.abs(along) < high))
