"""Whatever stands where a token, a key or a cookie belongs, it opens nothing, and nothing fails or repeats it.

Each place is tried with anything at all and with something that looks like what belongs there.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scheduler.domain.clinics import Clinic, Limits

HOLD = UUID("01a206f9-fd71-7771-a54c-6c959606910c")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.%"

# Any byte that a server lets through in a header, and what only looks right.
IN_HEADERS = st.one_of(
    st.lists(st.integers(0x20, 0xFF).filter(lambda byte: byte != 0x7F), max_size=60).map(bytes),
    st.text(LETTERS, min_size=20, max_size=60).map(str.encode),
)
IN_PATHS = st.one_of(st.text(min_size=1, max_size=60), st.text(LETTERS, min_size=20, max_size=60))

pytestmark = pytest.mark.hypothesis
often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
async def plenty(limit: Callable[..., Awaitable[Clinic]]) -> None:
    """Let nobody be turned away for how often they try: that is tried elsewhere."""
    await limit(**dict.fromkeys(Limits.__struct_fields__, 100_000))


def refused(answer: httpx.Response, sent: str, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, sent, answer.text[:500])
    # What is shorter may be part of a word.
    assert len(sent) < 12 or sent not in answer.text


@often
@given(token=IN_PATHS, page=st.sampled_from(["m", "u"]))
@example(token="\x00", page="m")
@example(token="é" * 43, page="u")
async def test_links_that_nobody_sent(public: httpx.AsyncClient, token: str, page: str) -> None:
    # The page that turns reminders off shows the same to everybody.
    answer = await public.get(f"/{page}/{quote(token, safe='')}")
    refused(answer, token, *((303, 404) if page == "m" else (200, 404)))


@often
@given(key=IN_HEADERS, scheme=st.sampled_from([b"Bearer ", b"bearer  ", b"Basic ", b"Bearer tbs_", b""]))
async def test_keys_that_nobody_made(public: httpx.AsyncClient, key: bytes, scheme: bytes) -> None:
    answer = await public.get("/api/v1/visits", headers=_header("Authorization", scheme + key))
    refused(answer, key.decode("latin-1"), 401)


@often
@given(token=IN_HEADERS)
async def test_holds_of_somebody_else(public: httpx.AsyncClient, token: bytes) -> None:
    answer = await public.delete(f"/api/v1/holds/{HOLD}", headers=_header("Hold-Token", token))
    refused(answer, token.decode("latin-1"), 404, 422)


@often
@given(cookie=IN_HEADERS, name=st.sampled_from([b"staff=", b"__Host-staff=", b""]))
async def test_cookies_of_nobody(public: httpx.AsyncClient, cookie: bytes, name: bytes) -> None:
    answer = await public.get("/staff", headers=_header("Cookie", name + cookie))
    refused(answer, cookie.decode("latin-1"), 303)
    assert "sign-in" in answer.headers["location"]


@often
@given(key=IN_HEADERS, version=IN_HEADERS)
async def test_preconditions_and_keys_of_requests(desk: httpx.AsyncClient, key: bytes, version: bytes) -> None:
    headers = [*_header("Idempotency-Key", key), *_header("If-Match", version)]
    answer = await desk.post(f"/api/v1/visits/{HOLD}/cancel", json={"reason": "x"}, headers=headers)
    refused(answer, version.decode("latin-1"), 404, 412, 422, 428)


def _header(name: str, value: bytes) -> Any:
    return [(name.encode(), value)]
