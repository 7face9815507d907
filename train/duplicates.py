"""Pictures of one part of a data set that stand in another as well, equal or nearly so.

Near duplicates are found in two steps, as copy detection does: grey pictures of 8×8 pixels with mean 0 and norm 1 give
candidates by their inner product, against both ways round; candidates are held against each other at 32×32 by the
normalised cross-correlation of what a band-pass filter leaves, divided by its local strength, over shifts of a few
pixels. The filter is what tells a copy from another meadow below another sky. On CIFAR-100 it finds 316 pairs; of the
40 next above the threshold 34 are one photo each, five are articles of one catalogue in the same place, one is wrong.
Barz and Denzler (arXiv:1902.00423) find three times as many by a network and by eye, mostly other crops.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeproof.runtime import progress
from edgeproof.runtime.labelled import LabelledPictures
from edgeproof.runtime.pixels import Pixels

# Correlation of the details from which on two pictures count as one.
SIMILAR = 0.8
# Pictures of a smaller side are too coarse to tell copies from likenesses.
LEAST_SIDE = 16
# Comparisons of the first step: about a minute on two cores. Beyond, evenly spaced pictures are looked up.
MOST_PAIRS = 5_000_000_000

_COARSE_SIDE, _COARSE_SIMILAR, _CANDIDATES = 8, 0.8, 4
_SIDE, _SHIFT, _EDGE = 32, 4, 3
# Standard deviations in grey levels below which a picture, or a place in it, counts as even.
_EVEN = 4.0
_PART, _QUERIES, _BLOCK = 1024, 256, 8192

Floats = NDArray[np.float32]


class Pair(msgspec.Struct, frozen=True):
    """Two pictures by name, one in each part, and the correlation of their details (1 for equal ones)."""

    train: str
    test: str
    similarity: float


class Near(msgspec.Struct, frozen=True):
    """Near duplicates, most alike first, and how many test pictures were looked up of how many."""

    pairs: tuple[Pair, ...] = ()
    compared: int = 0
    test_pictures: int = 0


def exact(train: LabelledPictures, test: LabelledPictures) -> tuple[tuple[str, str], ...]:
    """(training, test) names of pictures with the same stored pixels, a pair for each such test picture."""
    wanted = set(test.hashes)
    known = {hash_: name for hash_, name in zip(train.hashes, train.names, strict=True) if hash_ in wanted}
    pairs = zip(test.hashes, test.names, strict=True)
    return tuple((known[hash_], name) for hash_, name in pairs if hash_ in known)


def near(train: LabelledPictures, test: LabelledPictures) -> Near:
    """The training picture most like each test picture, where they are near duplicates and not equal.

    Robust to mirroring, recompression, another brightness and shifts of a thirtieth of the side; crops are not found.
    Takes 130 bytes a training picture. Pictures smaller than 16 pixels are not compared.
    """
    rest = _without(test, set(train.hashes))
    if min(train.preprocessing.stored_size) < LEAST_SIDE:
        return Near((), 0, len(test))
    if not len(rest) or not len(train):
        return Near((), len(test), len(test))
    known = _first_of_each(train)
    most = max(1, MOST_PAIRS // len(known))
    asked = rest[:: ceil(len(rest) / most)]
    candidates = _candidates(train, known, test, asked)
    found = [pair for pair in _verified(train, test, candidates) if pair.similarity >= SIMILAR]
    best: dict[str, Pair] = {}
    for pair in sorted(found, key=lambda pair: -pair.similarity):
        best.setdefault(pair.test, pair)
    return Near(tuple(best.values()), len(asked) + len(test) - len(rest), len(test))


@dataclass(frozen=True)
class _Candidates:
    """Pairs of indices into both parts, and which test pictures are to be mirrored; arrays of shape (n,)."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


def _without(pictures: LabelledPictures, hashes: set[str]) -> NDArray[np.int64]:
    return np.array([n for n, hash_ in enumerate(pictures.hashes) if hash_ not in hashes], np.int64)


def _first_of_each(pictures: LabelledPictures) -> NDArray[np.int64]:
    """The first of all pictures that are equal: copies need not be compared again."""
    seen: set[str] = set()
    first: list[int] = []
    for number, hash_ in enumerate(pictures.hashes):
        if hash_ not in seen:
            seen.add(hash_)
            first.append(number)
    return np.array(first, np.int64)


def _candidates(
    train: LabelledPictures, known: NDArray[np.int64], test: LabelledPictures, asked: NDArray[np.int64]
) -> _Candidates:
    base = np.empty((len(known), _COARSE_SIDE**2), np.float16)
    with progress.bar("Near duplicates", len(known) + len(asked)) as advance:
        for start, grey in _greys(train, known):
            base[start : start + len(grey)] = _coarse(grey)
            advance(len(grey))
        pairs: list[tuple[NDArray[np.int64], NDArray[np.int64], bool]] = []
        for start, grey in _greys(test, asked):
            for mirrored in (False, True):
                of_query, of_base = _nearest(_coarse(grey[:, :, ::-1] if mirrored else grey), base)
                pairs.append((known[of_base], asked[start + of_query], mirrored))
            advance(len(grey))
    return _Candidates(
        np.concatenate([first for first, _, _ in pairs]),
        np.concatenate([second for _, second, _ in pairs]),
        np.concatenate([np.full(len(first), mirrored) for first, _, mirrored in pairs]),
    )


def _nearest(queries: Floats, base: NDArray[np.float16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (query, base) of the few most similar of each query, above the coarse threshold."""
    scores = np.full((len(queries), _CANDIDATES), _COARSE_SIMILAR, np.float32)
    places = np.full((len(queries), _CANDIDATES), -1, np.int64)
    for start in range(0, len(base), _BLOCK):
        block = base[start : start + _BLOCK].astype(np.float32).T
        for first in range(0, len(queries), _QUERIES):
            part = slice(first, first + _QUERIES)
            products = queries[part] @ block
            better = np.flatnonzero(products.max(axis=1) > scores[part].min(axis=1)) + first
            if not len(better):
                continue
            near = products[better - first]
            top = np.argpartition(near, -_CANDIDATES)[:, -_CANDIDATES:] if near.shape[1] > _CANDIDATES else None
            own = np.broadcast_to(np.arange(near.shape[1]), near.shape) if top is None else top
            both = np.hstack([scores[better], np.take_along_axis(near, own, axis=1)])
            where = np.hstack([places[better], start + own])
            order = np.argsort(-both, axis=1, kind="stable")[:, :_CANDIDATES]
            scores[better] = np.take_along_axis(both, order, axis=1)
            places[better] = np.take_along_axis(where, order, axis=1)
    of_query, rank = np.nonzero(places >= 0)
    return of_query, places[of_query, rank]


def _verified(train: LabelledPictures, test: LabelledPictures, found: _Candidates) -> Iterator[Pair]:
    for start in range(0, len(found.test), _PART):
        part = slice(start, start + _PART)
        one, other = _grey(test.stored[found.test[part]]), _grey(train.stored[found.train[part]])
        mirrored = found.mirrored[part]
        one[mirrored] = one[mirrored, :, ::-1]
        for number, value in enumerate(similarity(one, other), start=start):
            names = train.names[found.train[number]], test.names[found.test[number]]
            yield Pair(*names, round(float(value), 4))


def similarity(one: Floats, other: Floats) -> Floats:
    """Correlation of the details of grey pictures of shape (n, 32, 32), pair by pair, at the best of small shifts."""
    products = np.fft.irfft2(_spectra(one) * np.conj(_spectra(other)), s=(_SIDE, _SIDE))
    shifts = np.r_[0 : _SHIFT + 1, _SIDE - _SHIFT : _SIDE]
    best: Floats = products[:, shifts][:, :, shifts].max(axis=(1, 2)).astype(np.float32)
    return best


def _spectra(grey: Floats) -> NDArray[np.complex64]:
    """Spectra of the pictures' details: a band of frequencies, divided by its local strength, of norm 1."""
    band = _filtered(grey - grey.mean(axis=(1, 2), keepdims=True), _gaussian(0.6) - _gaussian(1.5))
    strength = np.sqrt(np.maximum(_filtered(band**2, _gaussian(3.0)), 0) + _EVEN**2)
    inner = np.minimum(1, (np.minimum(np.arange(_SIDE), _SIDE - 1 - np.arange(_SIDE)) + 0.5) / _EDGE)
    details = band / strength * np.outer(inner, inner).astype(np.float32)
    details /= np.maximum(np.linalg.norm(details, axis=(1, 2), keepdims=True), 1e-3)
    return np.fft.rfft2(details).astype(np.complex64)


def _filtered(pictures: Floats, response: Floats) -> Floats:
    return np.fft.irfft2(np.fft.rfft2(pictures) * response, s=(_SIDE, _SIDE)).astype(np.float32)


@cache
def _gaussian(sigma: float) -> Floats:
    """The response of a Gaussian blur of `sigma` pixels to the frequencies of `rfft2`."""
    squares = np.fft.fftfreq(_SIDE)[:, np.newaxis] ** 2 + np.fft.rfftfreq(_SIDE)[np.newaxis] ** 2
    response: Floats = np.exp(-2 * (np.pi * sigma) ** 2 * squares).astype(np.float32)
    return response


def _greys(pictures: LabelledPictures, numbers: NDArray[np.int64]) -> Iterator[tuple[int, Floats]]:
    """Grey pictures in parts, each with the place of its first in `numbers`."""
    for start in range(0, len(numbers), _PART):
        yield start, _grey(pictures.stored[numbers[start : start + _PART]])


def _grey(stored: Pixels) -> Floats:
    """Stored pictures as grey ones of shape (n, 32, 32), 0 to 255."""
    if stored.shape[1:3] != (_SIDE, _SIDE):
        size = (_SIDE, _SIDE)
        stored = np.stack(
            [np.asarray(Image.fromarray(each).resize(size, Image.Resampling.BILINEAR)) for each in stored]
        )
    grey: Floats = stored.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return grey


def _coarse(grey: Floats) -> Floats:
    """Grey pictures as vectors of mean 0 and norm 1 (less for even ones), of shape (n, 64)."""
    step = _SIDE // _COARSE_SIDE
    small = grey.reshape(len(grey), _COARSE_SIDE, step, _COARSE_SIDE, step).mean(axis=(2, 4)).reshape(len(grey), -1)
    small -= small.mean(axis=1, keepdims=True)
    unit: Floats = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), _COARSE_SIDE * _EVEN)
    return unit
