"""edgeproof trains an image classifier, ships it to the edge, and proves that what ships is what was trained."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: that takes longer than to load a model."""
    if name != "__version__":
        raise AttributeError(f"module 'edgeproof' has no attribute '{name}'")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edgeproof")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0"
