"""What a command stands in: its notes on stderr, quiet native libraries, and one line for what goes wrong."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from typer.exceptions import TyperException

from edgeproof.runtime import progress
from edgeproof.runtime.chatter import silenced
from edgeproof.runtime.errors import ConfigError, EdgeproofError, Stopped, VerificationError

logger = logging.getLogger("edgeproof")
# What typer makes of a KeyboardInterrupt: it returns this status, and says nothing.
INTERRUPTED = 130


def set_up(quiet: bool) -> None:
    """Send notes and progress to stderr, or none with `quiet`; native chatter is off unless asked for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A root without handlers makes TensorFlow's own logger install one, and every note would come twice.
    logging.getLogger().addHandler(logging.NullHandler())
    logger.handlers = [_Notes()]
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    if quiet:
        progress.silence()


def note(line: str) -> None:
    """Say something on stderr, unless it is empty."""
    if line:
        logger.warning(line)


@contextmanager
def tensorflow() -> Iterator[None]:
    """Import a stage that needs TensorFlow inside this block, quietly. Raises `ConfigError` where it is missing."""
    with extra("train"), silenced(), warnings.catch_warnings(action="ignore"):
        import tensorflow

        tensorflow.get_logger().setLevel("ERROR")
        yield


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import what an extra brings inside this block. Raises `ConfigError`, naming the extra, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "edgeproof":
            raise
        raise ConfigError(f"This needs {error.name}. Install it with: pip install 'edgeproof[{name}]'") from None


def status_of(command: Callable[[], object]) -> int:
    """Run a command; what is known to go wrong becomes one line on stderr and an exit status."""
    try:
        status = command()
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except typer.Exit as error:
        return error.exit_code
    except TyperException as error:
        return _refuse(f"{_one_line(error.format_message())} See `edgeproof --help`.", 2)
    except VerificationError as error:
        return _refuse(error, 1)
    except EdgeproofError as error:
        return _refuse(error, 2)
    except Stopped as error:
        return _refuse(error, error.status)
    except (KeyboardInterrupt, typer.Abort):
        return _refuse("stopped; nothing was left half-written", INTERRUPTED)


class _Notes(logging.Handler):
    """Writes to what stderr is at the time: a progress bar takes its place while it is shown, and keeps below."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _refuse(reason: object, status: int) -> int:
    print(f"edgeproof: {reason}", file=sys.stderr)
    return status


def _one_line(message: str) -> str:
    words = " ".join(message.split())
    return words if words.endswith((".", "?")) else f"{words}."
