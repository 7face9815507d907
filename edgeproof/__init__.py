"""edgeproof trains an image classifier, ships it to the edge, and proves that what ships is what was trained."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgeproof")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0"
