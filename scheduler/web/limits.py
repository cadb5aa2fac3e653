"""Guards that keep the public within its limits before any work is done for it; callers with a key pass."""

from functools import lru_cache
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import read_phone
from scheduler.services.directory import Directory
from scheduler.services.limits import count_booking, count_change, count_code, count_read, subject_of
from scheduler.web.clients import client_of
from scheduler.web.requests import header_of, read_query

AnyRequest = ASGIConnection[Any, Any, Any, Any]


async def limit_reads(request: AnyRequest, _: BaseRouteHandler) -> None:
    """Count a look at what is open. Raises RateLimited."""
    if not _shows_key(request):
        state = request.app.state
        await count_read(state.limits_pool, _clinic(request), client_subject(request), state.leases)


async def limit_search(request: AnyRequest) -> None:
    """Do before a search what is done before every request, and what ``limit_reads`` does.

    For each guard the framework makes a copy of the handler that it guards, which this saves where it tells.
    """
    await read_query(cast("Any", request))
    await limit_reads(request, request.route_handler)


async def limit_changes(request: AnyRequest, _: BaseRouteHandler) -> None:
    """Count a request that changes something. Raises RateLimited."""
    if not _shows_key(request):
        state = request.app.state
        await count_change(state.limits_pool, _clinic(request), client_subject(request), state.leases)


async def limit_bookings(request: AnyRequest, clinic: Clinic, phone: str) -> None:
    """Count an attempt of the public to book with a phone, as typed, that can be read. Raises RateLimited."""
    state = request.app.state
    subject = subject_of(state.settings.secret_key, "phone", read_phone(phone, "", []))
    await count_booking(state.limits_pool, clinic, subject)


async def limit_codes(request: AnyRequest, clinic: Clinic, phone: str) -> None:
    """Count a text that somebody asks for with a phone, which is as it is kept. Raises RateLimited."""
    state = request.app.state
    await count_code(state.limits_pool, clinic, subject_of(state.settings.secret_key, "phone", phone))


def client_subject(request: AnyRequest) -> bytes:
    """Return what a request's client is counted by."""
    return _client_subject(request.app.state.settings.secret_key, client_of(request))


# A client comes back, and hashing takes longer than remembering.
@lru_cache(maxsize=1024)
def _client_subject(secret_key: str, client: str) -> bytes:
    return subject_of(secret_key, "client", client)


def _clinic(request: AnyRequest) -> Clinic:
    return cast("Directory", request.app.state.directory).for_host(header_of(request, b"host") or "")


def _shows_key(request: AnyRequest) -> bool:
    # The API answers a key that is none with 401 wherever it is shown. Pages take no keys, so it helps nobody there.
    return header_of(request, b"authorization") is not None and request.scope["path"].startswith("/api/")
