"""What holds for every address of the service, whichever it is and whatever becomes of the request."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from scheduler.app import create_app
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.web.headers import CONTENT_SECURITY_POLICY
from tests.integration.conftest import client_of, running
from tests.integration.requests import book_held, hold

PROMISED = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

# What stands for each kind of parameter in a path; nothing is there.
NOWHERE = {"uuid": "01a206f9-fd71-7771-a54c-6c959606910c", "date": "2027-01-05", "int": "1"}


def addresses(app: Litestar) -> Iterator[tuple[str, str]]:
    """Yield every method and path that there is, and some that there are not."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            path = re.sub(r"\{[^}:]*:?([^}]*)\}", lambda match: NOWHERE.get(match[1], "nothing"), route.path)
            yield from ((method, path) for method in {*route.methods, "GET", "HEAD", "OPTIONS", "DELETE", "PATCH"})
    yield from [("GET", "/nowhere"), ("TRACE", "/"), ("BREW", "/book"), ("GET", "/static/nothing.css")]


async def test_every_answer_of_every_address_has_the_headers_and_no_trace(
    app: Litestar, public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    asked = 0
    for method, path in sorted(set(addresses(app))):
        for client in (public, desk):
            for accept in ("application/json", "text/html"):
                answer = await client.request(
                    method, path, headers={"Accept": accept}, content=b"{" if method != "GET" else None
                )
                where = f"{method} {path} ({answer.status_code})"
                for name, value in PROMISED.items():
                    assert answer.headers.get(name) == value, f"{where}: {name}"
                assert answer.headers["x-request-id"], where
                assert answer.status_code < 500 or path == "/health/ready", where
                assert "Traceback" not in answer.text, where
                assert "server" not in answer.headers, "what it is made of is nobody's business"
                asked += 1
    assert asked > 500


async def test_pages_and_answers_about_people_are_kept_nowhere(
    public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    visit = (await book_held(public, await hold(public, "follow-up", "2027-01-05T10:00:00-05:00"))).json()
    for client, path in ((desk, f"/api/v1/visits/{visit['id']}"), (public, "/m/" + visit["manage_url"].split("/")[-1])):
        answer = await client.get(path, headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


async def test_pages_need_nothing_that_the_policy_forbids(public: httpx.AsyncClient) -> None:
    """No script or style inside a page, no handler on an element, nothing fetched from elsewhere."""
    for path in ("/book", "/docs", "/preview/messages", "/problems/slot-taken", "/staff/sign-in"):
        answer = await public.get(path, headers={"Accept": "text/html"}, follow_redirects=True)
        assert answer.headers["content-type"].startswith("text/html"), path
        assert not re.search(r"<script(?![^>]*\bsrc=\"/static/)|<style|\sstyle=|\son[a-z]+=", answer.text), path
        fetched = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"([^\"]*)\"", answer.text)
        assert all(url.startswith(("/", "data:image/")) for url in fetched), fetched


@pytest.mark.parametrize(("base_url", "secure"), [("https://clinic.example", True), ("http://127.0.0.1:8000", False)])
async def test_no_script_and_no_other_site_gets_a_cookie(
    base_url: str, secure: bool, pool: Pool, settings: Settings, app: Litestar
) -> None:
    assert app
    there = msgspec.structs.replace(settings, public_base_url=base_url)
    async with running(create_app(there)) as other, client_of(other) as client:
        cookies = [
            cookie
            for path in ("/book", "/book?lang=es", "/staff/sign-in", "/book?visit_type=follow-up")
            for cookie in (await client.get(path)).headers.get_list("set-cookie")
        ]
        day = await pool.fetchval("select to_char(date_trunc('week', now()) + interval '5 weeks 1 day', 'YYYY-MM-DD')")
        chosen = {"visit_type": "follow-up", "start": f"{day}T10:00:00-05:00", "key": "k" * 32}
        cookies += (await client.post("/book/times", data=chosen)).headers.get_list("set-cookie")
    for cookie in cookies:
        assert re.search(r";\s*httponly", cookie, re.IGNORECASE), cookie
        assert re.search(r";\s*samesite=(lax|strict)", cookie, re.IGNORECASE), cookie
        assert bool(re.search(r";\s*secure", cookie, re.IGNORECASE)) == secure, cookie
        assert not re.search(r";\s*domain=", cookie, re.IGNORECASE), cookie
    assert cookies


async def test_where_somebody_is_sent_is_on_this_site(public: httpx.AsyncClient) -> None:
    """No parameter makes a redirect that leads away."""
    evil: dict[str, Any] = dict.fromkeys(("next", "url", "to", "return", "lang", "here", "back"), "//evil.example/")
    for path in ("/", "/book", "//evil.example/%2e%2e", "/staff", "/docs", "/book/"):
        answer = await public.get(path, params=evil)
        location = answer.headers.get("location", "/")
        assert re.match(r"/(?![/\\])", location), (path, location)
