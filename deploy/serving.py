"""A folder of static files on http://127.0.0.1, for a look at a page; not for the world."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgeproof.runtime.errors import ConfigError

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
TYPES = {
    **{".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"},
    **{".wasm": "application/wasm", ".tflite": "application/octet-stream", ".txt": "text/plain; charset=utf-8"},
}


class _Files(SimpleHTTPRequestHandler):
    """With the types that browsers insist on, whatever this machine's tables say, and nothing kept in caches."""

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        return TYPES.get(Path(path).suffix) or super().guess_type(path)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        logger.debug(format, *arguments)


@contextmanager
def server(folder: str | Path, *, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """A server of a folder on this machine's own address, not yet running; port 0 takes any that is free.

    Raises `ConfigError` for a port that is taken or not allowed.
    """
    handler = partial(_Files, directory=str(folder))
    try:
        found = ThreadingHTTPServer((ADDRESS, port), handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--port {port}: cannot be used ({error}). Give another, or 0 for any.") from None
    with found:
        yield found


def address(found: ThreadingHTTPServer) -> str:
    """Where a browser finds the server."""
    return f"http://{ADDRESS}:{found.server_port}/"
