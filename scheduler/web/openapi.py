"""The OpenAPI document: what the framework says about the routes, completed, encoded once and served with an ETag."""

import hashlib
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.datastructures import State
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Contact, License, SecurityScheme, Server, Tag

from scheduler.settings import Settings
from scheduler.web.document import complete
from scheduler.web.document_words import ABOUT, TAGS

# Not in the application's state, whose content a traceback may show.
_documents: WeakKeyDictionary[Litestar, dict[str, Any]] = WeakKeyDictionary()
_encodings: WeakKeyDictionary[Litestar, tuple[bytes, str]] = WeakKeyDictionary()


def openapi_config(settings: Settings) -> OpenAPIConfig:
    """Return what the document says about this installation as a whole."""
    return OpenAPIConfig(
        title="Scheduler",
        version="1",
        summary="Availability, visits and messages of a physical therapy clinic",
        description=ABOUT,
        contact=Contact(name="Documentation with examples", url=f"{settings.public_base_url}/docs"),
        license=License(name="All rights reserved"),
        servers=[Server(url=settings.public_base_url, description="This installation")],
        tags=[Tag(name=name, description=description) for name, description in TAGS.items()],
        path="/schema",
        render_plugins=[_Served(path="/openapi.json")],
        components=Components(
            security_schemes={
                "key": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="An API key of the clinic: Authorization: Bearer followed by the key",
                )
            }
        ),
        use_handler_docstrings=True,
    )


def document_of(app: Litestar) -> dict[str, Any]:
    """Return the complete document, made once in the life of an application."""
    if app not in _documents:
        _documents[app] = complete(app)
    return _documents[app]


class _Served(OpenAPIRenderPlugin):
    """Serves the document by a route of ours; the framework's own would answer all else below with its own HTML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002
        return _encoded(request.app)[0]

    def receive_router(self, router: Router) -> None:
        router.routes.clear()
        router.register(show_document)


@get("/openapi.json", include_in_schema=False, media_type="application/json")
async def show_document(request: Request[Any, Any, State]) -> Response[bytes]:
    """Answer the document, or that the caller's copy is the same."""
    body, etag = _encoded(request.app)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _encoded(app: Litestar) -> tuple[bytes, str]:
    if app not in _encodings:
        body = msgspec.json.encode(document_of(app))
        _encodings[app] = (body, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return _encodings[app]
