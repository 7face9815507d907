"""`python -m edgeproof` and the `edgeproof` command."""

from edgeproof.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
