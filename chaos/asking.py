"""How a client asks: one bounded request after the other, under one key, until it is told, or gives up."""

import asyncio
import json
import random
import time
from typing import Any

import aiohttp
import msgspec

from chaos.journal import Ask, Journal, Try

# A client waits a little longer than anybody should have to, so as to see who had to.
CLIENT_SECONDS = 12.0

MOST_TRIES = 40
GIVES_UP = 0.04


class Answer(msgspec.Struct, frozen=True):
    """What came back: no status where nothing did."""

    status: int | None
    headers: dict[str, str]
    body: Any


class Line:
    """A client's line to the web processes, by name and address. What is wrong with any answer goes to the journal."""

    def __init__(self, journal: Journal, webs: dict[str, str], chance: random.Random, *, key: str = "") -> None:
        self.journal, self.webs, self.chance = journal, webs, chance
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CLIENT_SECONDS), connector=aiohttp.TCPConnector(limit=0)
        )
        # The library would make a DELETE once more by itself where the line broke, and be told that nothing is there.
        self._session._retry_connection = False  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    async def close(self) -> None:
        await self._session.close()

    async def once(self, ask: Ask, method: str, path: str, **request: Any) -> Answer:
        """Make one request to one of the web processes, and note how it went."""
        web = self.chance.choice(list(self.webs))
        one = Try(web=web, began=time.monotonic(), ended=0.0)
        ask.tries.append(one)
        headers = {**self._headers, **request.pop("headers", {})}
        try:
            async with self._session.request(method, self.webs[web] + path, headers=headers, **request) as response:
                content = await response.read()
                one.status = response.status
                answer = Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, _read(content))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            one.error = type(error).__name__
            answer = Answer(None, {}, None)
        finally:
            one.ended = time.monotonic()
        self._look_at(ask, path, answer)
        return answer

    async def persist(self, ask: Ask, method: str, path: str, *, tries: int = MOST_TRIES, **request: Any) -> Answer:
        """Ask under the ask's key until it is decided or the client gives up; note what was told in the end.

        What has no key is asked once (``tries``).
        """
        headers = {**request.pop("headers", {}), **({"Idempotency-Key": ask.key} if ask.key else {})}
        answer = Answer(None, {}, None)
        for _ in range(tries):
            answer = await self.once(ask, method, path, headers=headers, **request)
            if answer.status is not None and answer.status < 300:
                ask.outcome, ask.told = "told", answer.body or {}
                if "id" in ask.told:
                    ask.ids.append(ask.told["id"])
                return answer
            running = answer.status == 409 and answer.body["code"] == "idempotency-in-flight"
            if answer.status is not None and answer.status < 500 and answer.status != 429 and not running:
                ask.outcome, ask.told = "refused", answer.body or {}
                return answer
            if self.journal.closed or self.chance.random() < GIVES_UP:
                break
            await asyncio.sleep(self.chance.uniform(0.1, 0.6))
        return answer

    def _look_at(self, ask: Ask, path: str, answer: Answer) -> None:
        """Complain of an answer that no fault excuses."""
        if answer.status is None or answer.status < 400 or not path.startswith("/api/"):
            return
        body: Any = answer.body
        kind = answer.headers.get("content-type", "")
        what = f"{ask.what} was answered {answer.status}"
        if answer.status == 500:
            self.journal.complain(f"{what}: {answer.body}")
        if kind != "application/problem+json" or not isinstance(body, dict):
            self.journal.complain(f"{what} as {kind or 'nothing'}")
        elif answer.status == 503 and "retry-after" not in answer.headers:
            self.journal.complain(f"{what} without Retry-After")
        words = json.dumps(answer.body)
        if ask.marker and (ask.marker in words or ask.marker.lower() in words):
            self.journal.complain(f"{what} with what was sent in it")


def _read(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode(errors="replace")
