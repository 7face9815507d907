"""A static page that runs a model file in the browser, with LiteRT.js: `edgeproof web`. See docs/deploy/web.md.

Needs jinja2 (`edgeproof[deploy]`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgeproof import __version__
from edgeproof.deploy import folder, litertjs, pagedata
from edgeproof.deploy.litertjs import Files
from edgeproof.deploy.pagedata import Page
from edgeproof.deploy.subject import Subject
from edgeproof.runtime import decoding
from edgeproof.runtime.errors import ConfigError, DataError

TEMPLATES = Path(__file__).parent / "templates" / "web"
TEMPLATE = "index.html.jinja"
INDEX, CONTRACT = "index.html", "contract.json"
ASSETS = ("page.css", "page.js", "classifier.js", "preprocess.js", "selftest.js")
RUNTIME = "litert"
# Facts that are hashes, and set as code.
CODES = ("SHA-256 of the file",)
# What browsers decode.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
# Inside a page that names no other place, so that no request can leave it; 'wasm-unsafe-eval' lets WebAssembly run.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' '{hash}'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
IMPORTS = {package.name: f"./{RUNTIME}/{package.folder}/dist/index.js" for package in litertjs.PACKAGES}


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, in bytes: all files, what one browser loads of them, and that when compressed (zlib)."""

    out: str
    model_sha256: str
    size_bytes: int
    loaded_bytes: int
    compressed_bytes: int


def write(
    subject: Subject, out: str | Path, *, runtime: Files, pictures: Sequence[Path] = (), overwrite: bool = False
) -> Site:
    """Write the page and all that it loads into the folder `out`, which is whole or absent.

    `pictures` are offered as samples in place of the golden ones. Raises `ModelError` for a file that LiteRT.js cannot
    run, `DataError` for a picture that a browser cannot show, and `ConfigError` for a folder with other files.
    """
    folder.refuse(out, CONTRACT, overwrite=overwrite)
    given = [(path, _picture(path)) for path in pictures]
    samples = [pagedata.sample(path, number) for number, (path, _) in enumerate(given, 1)]
    page = pagedata.described(subject, samples or None)
    libraries = {f"{RUNTIME}/{name}": content for name, content in litertjs.named(runtime).items()}
    contents = _contents(subject, page) | libraries
    contents |= {each.file: content for each, (_, content) in zip(samples, given, strict=True)}
    folder.write(contents, out, overwrite=overwrite)
    return _measured(str(out), contents, page)


def refuse(subject: Subject, out: str | Path, *, overwrite: bool) -> None:
    """Raise `ModelError` for a file that LiteRT.js cannot run, `ConfigError` for a folder that is to stay."""
    pagedata.refuse_unfit(subject)
    folder.refuse(out, CONTRACT, overwrite=overwrite)


def _contents(subject: Subject, page: Page) -> dict[str, bytes]:
    """The site's files by name, but for LiteRT.js and the user's pictures."""
    examples = subject.examples
    pictures = examples.pictures if examples is not None else ()
    golden = zip((each.picture for each in page.golden.examples) if page.golden else (), pictures, strict=True)
    return {
        CONTRACT: msgspec.json.format(msgspec.json.encode(page), indent=1),
        INDEX: html(subject, page).encode(),
        page.file.name: subject.content,
        **{name: (TEMPLATES / name).read_bytes() for name in ASSETS},
        **dict(golden),
    }


def html(subject: Subject, page: Page) -> str:
    """The page itself."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    import_map = json.dumps({"imports": IMPORTS})
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    return environment.get_template(TEMPLATE).render(
        page=page,
        facts=pagedata.facts(subject, page),
        codes=CODES,
        policy=POLICY.format(hash=f"sha256-{digest}"),
        import_map=import_map,
        version=__version__,
        runtime=f"LiteRT.js {litertjs.VERSION}",
    )


def _picture(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Give --picture FILE.") from None
    found, _ = decoding.header(content)
    if found not in FORMATS:
        raise ConfigError(f"{path} is {found}, which browsers do not show. Give one of {', '.join(FORMATS)}.")
    return content


def _measured(out: str, contents: dict[str, bytes], page: Page) -> Site:
    unloaded = {f"{RUNTIME}/{name}" for name in litertjs.UNLOADED}
    loaded = [content for name, content in contents.items() if name not in unloaded]
    return Site(
        out=out,
        model_sha256=page.file.sha256,
        size_bytes=sum(len(content) for content in contents.values()),
        loaded_bytes=sum(len(content) for content in loaded),
        compressed_bytes=sum(len(zlib.compress(content)) for content in loaded),
    )
