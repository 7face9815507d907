"""Simulates pairs of answers whose true drop is known, and counts how often the verification is right about it.

    python benchmarks/peers/coverage.py [--pairs 20000] [--seed 0]

For each setting: the share of 95 % intervals that hold the true drop, how often McNemar's exact test finds it, and the
coverage in the first 200 pairs, which is what the acceptance asks for (with 200, one standard error is 1.5 points).
"""

from __future__ import annotations

import argparse

import numpy as np

from edgeproof.convert.paired import drop_interval, mcnemar_many

# (images, share of flips, true drop in points)
SETTINGS = (
    (10_000, 0.05, 0.0),
    (10_000, 0.05, 1.0),
    (10_000, 0.15, 3.0),
    (10_000, 0.005, 0.1),
    (2_000, 0.05, 1.0),
    (359, 0.06, 2.0),
    (200, 0.05, 0.0),
)


def main() -> None:
    """Print one line for each setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(f"{'images':>7} {'flips':>7} {'drop':>6} {'covered':>9} {'of 200':>8} {'significant':>12}")
    for images, flips, drop in SETTINGS:
        lost, gained = (flips + drop / 100) / 2, (flips - drop / 100) / 2
        draw = np.random.default_rng(given.seed)
        counts = draw.multinomial(images, (lost, gained, 1 - flips), size=given.pairs)
        held = np.array([holds(int(down), int(up), images, drop) for down, up, _ in counts])
        significant = (mcnemar_many(counts[:, 0], counts[:, 1]) < 0.05).mean()
        first = held[:200].mean()
        print(f"{images:>7} {flips:>7.1%} {drop:>6.1f} {held.mean():>9.2%} {first:>8.1%} {significant:>12.2%}")


def holds(lost: int, gained: int, images: int, drop: float) -> bool:
    """Whether the interval of these flips holds the true drop."""
    low, high = drop_interval(lost, gained, images)
    return low <= drop <= high


if __name__ == "__main__":
    main()
