"""The files that pages refer to: stylesheets, the icon, and the few scripts of the staff's pages."""

from pathlib import Path

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router  # pyright: ignore[reportUnknownVariableType]

_STATIC = Path(__file__).parent.parent / "static"


def static_files() -> Router:
    """Return what serves them. Pages name each with a hash of its content, so a browser may keep it for good."""
    return create_static_files_router(
        path="/static",
        directories=[_STATIC],
        include_in_schema=False,
        cache_control=CacheControlHeader(public=True, max_age=31_536_000, immutable=True),
    )
