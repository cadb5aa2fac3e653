"""A new link by text, for whoever holds an old one; and the other visits that a link leads to."""

import html
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of
from tests.integration.requests import JO, act, book, local
from tests.integration.texting import open_line

NOW = local("2026-11-23T10:00:00-05:00")
TEN, TWO = "2026-12-08T10:00:00-05:00", "2026-12-08T14:00:00-05:00"
LATER, LAST = "2026-12-15T10:00:00-05:00", "2026-12-22T10:00:00-05:00"
PHONE = "+12015550142"

Visit = dict[str, Any]


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, Accept="text/html") as client:
        yield client


async def booked(desk: httpx.AsyncClient, start: str = TEN, **more: Any) -> Visit:
    response = await book(desk, "eval-run", start, **{"therapist": "rivera", **more})
    assert response.status_code == 201, response.text
    return response.json()


def path_of(visit: Visit) -> str:
    return "/m/" + visit["manage_url"].rpartition("/")[2]


def text_of(page: httpx.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text.partition("<body>")[2])).split())


async def texted(pool: Pool) -> list[Any]:
    """Return every link that is to be texted, first to last."""
    rows = await pool.fetch("select * from messages where template = 'new_link' order by id")
    return [dict(row.items()) for row in rows]


async def ask(browser: httpx.AsyncClient, path: str) -> httpx.Response:
    """Press the button of a page that says that its link no longer works."""
    page = await browser.get(path)
    assert page.status_code == 404
    (action,) = re.findall(r'<form class="actions one" method="post" action="([^"]+)">', page.text)
    return await browser.post(httpx.URL(f"http://clinic.test{path}").join(action).raw_path.decode())


async def test_an_old_link_has_the_next_one_texted_to_the_number_on_file(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, clock: Any
) -> None:
    old = await booked(desk)
    coming = await booked(desk, LATER)
    await booked(desk, LAST)
    clock.move_to(local("2026-12-10T08:00:00-05:00"))
    answer = await ask(browser, path_of(old))
    assert (answer.status_code, answer.headers["location"]) == (303, "?texted=yes")
    said = await browser.get(f"{path_of(old)}?texted=yes")
    assert said.status_code == 404
    assert re.search(r'role="status">.*If you have a visit coming up, a text with its link is on its way', said.text)
    assert "<form" not in said.text
    (message,) = await texted(pool)
    assert (message["address"], message["visit_id"], message["kind"]) == (PHONE, UUID(coming["id"]), "link")


async def test_the_text_has_the_link_and_no_stopped_phone_gets_it(
    app: Litestar, browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, clock: Any
) -> None:
    old, coming = await booked(desk), await booked(desk, LATER)
    # At night as well: whoever asks has the phone in their hand.
    clock.move_to(local("2026-12-10T23:30:00-05:00"))
    async with open_line(app, pool, [clinic]) as line:
        await ask(browser, path_of(old))
        await line.send(local("2026-12-10T23:30:00-05:00"))
        link = f"{line.url}{path_of(coming)}"
        heard = [text for text in line.heard(PHONE) if "private link" in text]
        assert heard == [
            f"Twin Boro Physical Therapy Fair Lawn: your private link: {link} Please don't forward it. (201) 791-1100"
        ]
        assert (await browser.get(path_of(coming))).status_code == 200
        await line.text(PHONE, "STOP")
        clock.shift(timedelta(minutes=20))
        await ask(browser, path_of(old))
        await line.send(local("2026-12-10T23:50:00-05:00"))
        assert [message["state"] for message in await texted(pool)] == ["sent", "suppressed"]


async def test_asking_again_within_minutes_is_asking_once_and_a_day_has_an_end(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, clock: Any
) -> None:
    old = await booked(desk)
    await booked(desk, LATER)
    clock.move_to(local("2026-12-10T08:00:00-05:00"))
    for _ in range(2):
        assert (await ask(browser, path_of(old))).status_code == 303
    assert len(await texted(pool)) == 1
    for _ in range(clinic.settings.limits.codes_per_phone_per_day + 2):
        clock.shift(timedelta(minutes=10))
        answer = await ask(browser, path_of(old))
        assert (answer.status_code, answer.headers["location"]) == (303, "?texted=yes")
    assert len(await texted(pool)) < clinic.settings.limits.codes_per_phone_per_day


@pytest.mark.parametrize("more", ["", "/move", "/cancel", ".ics"])
async def test_nobody_can_tell_whose_link_it_was(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, clock: Any, more: str
) -> None:
    """An old one with a visit to come, one without, a revoked one and an invented one."""
    old, alone = await booked(desk), await booked(desk, TWO, patient=JO)
    await booked(desk, LATER)
    clock.move_to(local("2026-12-10T08:00:00-05:00"))
    revoked = await booked(desk, LAST, patient={**JO, "given_name": "Bo", "phone": "201 555 0144"})
    await booked(desk, "2026-12-22T14:00:00-05:00", patient={**JO, "given_name": "Bo", "phone": "201 555 0144"})
    await pool.execute("update visit_links set revoked_at = now() where visit_id = $1", UUID(revoked["id"]))
    paths = [path_of(one) for one in (old, alone, revoked)] + [f"/m/{'x' * 22}", "/m/x"]
    seen: set[tuple[Any, ...]] = set()
    for path in paths:
        before = await browser.get(path + more, headers={"X-Request-Id": "the-same-id"})
        answer = await ask(browser, path + more)
        after = await browser.get(f"{path}{more}?texted=yes", headers={"X-Request-Id": "the-same-id"})
        seen.add((before.text, str(before.headers), answer.status_code, answer.text, after.text, str(after.headers)))
    assert len(seen) == 1
    assert [message["address"] for message in await texted(pool)] == [PHONE]


async def test_an_invented_link_takes_as_long_as_an_old_one(
    app: Litestar, desk: httpx.AsyncClient, browser: httpx.AsyncClient, clock: Any
) -> None:
    old = await booked(desk)
    clock.move_to(local("2026-12-10T08:00:00-05:00"))
    times: dict[str, list[float]] = {path_of(old): [], f"/m/{'x' * 22}": []}
    for _ in range(60):
        # In turn, so that whatever else this machine does is the same for both.
        for path, taken in times.items():
            began = time.perf_counter()
            assert (await browser.get(path)).status_code == 404
            taken.append(time.perf_counter() - began)
    # The least of each: whatever else the machine does only adds to it.
    one, other = (min(taken) for taken in times.values())
    assert abs(one - other) < 0.25 * max(one, other)
    assert app.state.directory.clinics


async def test_a_page_leads_to_the_patients_other_visits_and_to_nobody_elses(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    one, two, three = await booked(desk), await booked(desk, LATER), await booked(desk, LAST)
    stranger = await booked(desk, TWO, patient={**JO, "phone": "201 555 0142"})
    page = await browser.get(path_of(two))
    assert re.findall(r'<li><a href="[^"]*(/m/\w+)">', page.text) == [path_of(one), path_of(three)]
    assert "Your other visits" in text_of(page)
    assert "Tuesday, December 8 at 10:00 AM" in text_of(page)
    assert path_of(stranger) not in page.text
    assert "Your other visits" not in (await browser.get(path_of(stranger))).text
    assert (await act(desk, one, "cancel", reason="The patient asked")).status_code == 200
    await pool.execute("update visit_links set revoked_at = now() where visit_id = $1", UUID(three["id"]))
    assert "Your other visits" not in (await browser.get(path_of(two))).text
