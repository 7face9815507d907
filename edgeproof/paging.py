"""The command that makes a page which runs a file in the browser: web."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof import options, session

if TYPE_CHECKING:
    from edgeproof.deploy.web import Site


def web(
    model: Annotated[Path | None, typer.Argument(metavar="MODEL", help="The shipped file unless given.")] = None,
    out: Annotated[Path, typer.Option(help="The folder of the page.")] = Path("site"),
    picture: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A sample to offer; may be repeated.")
    ] = None,
    litert_js: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="LiteRT.js as npm pack or npm install left it; else npm gets it."),
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the page on this machine, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For --serve; 0: any that is free.")] = 8000,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a static page that runs the file in the browser, with LiteRT.js."""
    session.set_up(quiet)
    from edgeproof import models

    with session.extra("deploy"):
        from edgeproof.deploy import litertjs, subject, web
    read = subject.read(model or models.path(models.CLASSIFIER))
    web.refuse(read, out, overwrite=overwrite)
    made = web.write(read, out, runtime=litertjs.files(litert_js), pictures=picture or (), overwrite=overwrite)
    _tell(made, as_json=json)
    if serve:
        _serve(out, port)


def _tell(site: Site, *, as_json: bool) -> None:
    from edgeproof import show

    if as_json:
        show.json({"web": site})
        return
    loaded, compressed = site.loaded_bytes / 1e6, site.compressed_bytes / 1e6
    print(f"Written to {site.out}: {site.size_bytes / 1e6:.1f} MB, of which a browser loads {loaded:.1f} MB")
    print(f"({compressed:.1f} MB compressed). Any static server will do.")


def _serve(out: Path, port: int) -> None:
    from edgeproof.deploy import serving

    with serving.server(out, port=port) as found:
        print(f"{serving.address(found)} until Ctrl-C", flush=True)
        try:
            found.serve_forever()
        except KeyboardInterrupt:
            session.note("stopped")
