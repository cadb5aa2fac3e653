"""A database that says nothing: every request is answered in time, and the next ones find their way by themselves."""

import asyncio
import time
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
import pytest

from chaos.proxy import Proxy, Streams
from tests.acceptance.processes import running

LONGEST_SECONDS = 5.0


def proxy_before(dsn: str) -> Proxy:
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)

    async def connect() -> Streams:
        if "host" in query:
            return await asyncio.open_unix_connection(f"{unquote(query['host'][0])}/.s.PGSQL.{query['port'][0]}")
        return await asyncio.open_connection(parts.hostname, parts.port or 5432)

    return Proxy(connect, b"COMMIT")


async def asked(session: aiohttp.ClientSession, url: str) -> tuple[int, str | None, float]:
    """Ask for something that reads twice, once for the key; return the status, Retry-After, and how long it took."""
    began = time.monotonic()
    async with session.get(url) as response:
        await response.read()
        return response.status, response.headers.get("Retry-After"), time.monotonic() - began


@pytest.mark.parametrize("trouble", ["half open", "cable out", "away"])
async def test_nobody_waits_for_a_database_that_says_nothing_and_all_is_well_when_it_is_back(
    trouble: str, key: str, environment: dict[str, str], tmp_path: Path
) -> None:
    parts = urlsplit(environment["DATABASE_URL"])
    async with proxy_before(environment["DATABASE_URL"]) as proxy:
        login = parts.netloc.rpartition("@")[0]
        environment |= {"DATABASE_URL": f"postgresql://{login}@127.0.0.1:{proxy.port}{parts.path}"}
        async with (
            running("web", environment, tmp_path / "web.log", web=True) as web,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        ):
            url = f"{web.url}/api/v1/visits"
            assert (await asked(session, url))[0] == 200
            if trouble == "half open":
                proxy.deafen()
            elif trouble == "cable out":
                proxy.hold()
            else:
                proxy.refusing = True
                proxy.reset()
            # As many as there are connections, and some that have to wait for one.
            answers = await asyncio.gather(*(asked(session, url) for _ in range(15)))
            assert {status for status, _, _ in answers} <= {200, 503}
            assert all(retry_after for status, retry_after, _ in answers if status == 503)
            assert max(took for _, _, took in answers) < LONGEST_SECONDS
            if trouble != "half open":
                assert {status for status, _, _ in answers} == {503}
            proxy.heal()
            began = time.monotonic()
            while (await asked(session, url))[0] != 200:
                assert time.monotonic() - began < LONGEST_SECONDS
            assert "request.failed" not in web.log.read_text()
