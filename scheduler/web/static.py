"""The files that pages refer to: stylesheets, the icon, and the few scripts of the staff's pages."""

import hashlib
from pathlib import Path

from litestar import Response, Router, get
from litestar.datastructures import CacheControlHeader
from litestar.params import FromPath
from litestar.static_files import create_static_files_router  # pyright: ignore[reportUnknownVariableType]

from scheduler.errors import NotFound

_STATIC = Path(__file__).parent.parent / "static"

_FOR_GOOD = CacheControlHeader(public=True, max_age=31_536_000, immutable=True)

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}

# A script that ends without its semicolon would otherwise be called with what follows it.
_BETWEEN = {".css": b"\n", ".js": b";\n"}

# What pages asked for as one file, by its name. Every process makes the same, as its modules are imported.
_JOINED: dict[str, bytes] = {}


def versioned(*names: str) -> str:
    """Return the address of a static file, or of several in a row, so that a page need not ask for each.

    The address changes with what is in them, so a browser may keep what it gets for good.
    """
    suffix = Path(names[0]).suffix
    content = _BETWEEN.get(suffix, b"").join((_STATIC / name).read_bytes() for name in names)
    digest = hashlib.sha256(content).hexdigest()[:12]
    if len(names) == 1:
        return f"/static/{names[0]}?v={digest}"
    _JOINED[digest + suffix] = content
    return f"/static/joined/{digest}{suffix}"


@get("/static/joined/{name:str}", include_in_schema=False, cache_control=_FOR_GOOD, sync_to_thread=False)
def serve_joined(name: FromPath[str]) -> Response[bytes]:
    """Serve several files as one."""
    if name not in _JOINED:
        raise NotFound
    return Response(_JOINED[name], media_type=_MEDIA_TYPES[Path(name).suffix])


def static_files() -> Router:
    """Return what serves them. Pages name each with a hash of its content, so a browser may keep it for good."""
    files = create_static_files_router(
        path="/static", directories=[_STATIC], include_in_schema=False, cache_control=_FOR_GOOD
    )
    return Router(path="/", route_handlers=[serve_joined, files])
