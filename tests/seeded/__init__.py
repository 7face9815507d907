"""The corpus: sound small files with one seeded defect each, a module a kind of rule, and the rule that finds it."""

from seeded import files, graphs, labels, quantisation, weights
from seeded.registry import SEEDS

__all__ = ["SEEDS", "files", "graphs", "labels", "quantisation", "weights"]
