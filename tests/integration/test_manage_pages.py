"""The private link of a visit: what its patient sees, what they may do, and what nobody learns from it."""

import asyncio
import gzip
import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar
from structlog.testing import capture_logs

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.domain.links import manage_url
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.links import link_visits
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from scheduler.web.pages.words import WORDS
from tests.integration.conftest import ROOT, client_of, make_key
from tests.integration.requests import ASH, JO, act, book, book_held, hold, local, messages_of
from tests.phones import NUMBER

NOW = local("2026-11-23T10:00:00-05:00")
DAY = "2026-12-08"
TEN = f"{DAY}T10:00:00-05:00"
TWO = f"{DAY}T14:00:00-05:00"
WHEN = "Tuesday, December 8 at 10:00 AM"

LARGEST_PAGE = 15 * 1024
SCANNERS = ("Mozilla/5.0", "GoogleImageProxy", "Barracuda Sentinel", "Microsoft Office/16.0", "curl/8.0")

TITLES = {words for key in ("visit.h1", "cancel.h1", "move.h1") for words in WORDS[key]}

Visit = dict[str, Any]


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, Accept="text/html,*/*;q=0.8") as client:
        yield client


@pytest.fixture
async def visit(desk: httpx.AsyncClient) -> Visit:
    """Return the visit of Ash, who gets texts and emails, two weeks ahead with Dr. Rivera."""
    return await booked(desk)


async def booked(desk: httpx.AsyncClient, start: str = TEN, **more: Any) -> Visit:
    response = await book(desk, "eval-run", start, **{"therapist": "rivera", **more})
    assert response.status_code == 201, response.text
    return response.json()


class Form(HTMLParser):
    """The forms of a page as a browser would send them: by address, the hidden fields, and the buttons' values."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.hidden: dict[str, dict[str, str]] = {}
        self.buttons: list[tuple[str, str, str]] = []
        self.links: list[str] = []
        self._action = ""
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self._action = values.get("action", "")
                self.hidden.setdefault(self._action, {})
            case "input" if values.get("type") == "hidden":
                self.hidden[self._action][values["name"]] = values["value"]
            case "button":
                self.buttons.append((self._action, values.get("name", ""), values.get("value", "")))
            case "a":
                self.links.append(values["href"])
            case _:
                pass


def path_of(visit: Visit) -> str:
    return "/m/" + visit["manage_url"].rpartition("/")[2]


async def look(browser: httpx.AsyncClient, visit: Visit, more: str = "", status: int = 200) -> httpx.Response:
    page = await browser.get(path_of(visit) + more)
    assert page.status_code == status, page.text
    return page


async def fields(browser: httpx.AsyncClient, visit: Visit, action: str) -> dict[str, str]:
    """Return what the form of an action sends by itself, as its page has it now."""
    page = await browser.get(path_of(visit) + (f"/{action}" if action in ("move", "cancel") else ""))
    return Form(page).hidden[f"{path_of(visit)}/{action}"]


async def send(browser: httpx.AsyncClient, visit: Visit, action: str, **more: str) -> httpx.Response:
    """Send the form of an action as it is on the page now."""
    return await browser.post(f"{path_of(visit)}/{action}", data={**await fields(browser, visit, action), **more})


def text_of(page: httpx.Response) -> str:
    body = re.sub(r"<(head|svg)\b.*?</\1>", " ", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def actions_on(page: httpx.Response) -> set[str]:
    """Return what can be done on a page about the visit itself, by a button or a link."""
    form = Form(page)
    places = [*(action for action, _, _ in form.buttons), *form.links]
    last = {place.rpartition("/")[2].partition("?")[0] for place in places if place.startswith("/m/")}
    return last & {"confirm", "move", "cancel", "undo"}


async def row(pool: Pool, visit: Visit) -> Any:
    return await pool.fetchrow("select * from visits where id = $1", UUID(visit["id"]))


async def everything(pool: Pool) -> dict[str, str]:
    """Return what every table holds, in one word each."""
    tables = await pool.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {
        table: await pool.fetchval(
            f"select md5(coalesce(string_agg(kept::text, chr(10) order by kept::text), '')) from \"{table}\" as kept"
        )
        for (table,) in tables
    }


async def test_the_page_says_what_the_visit_is_and_what_can_be_done(browser: httpx.AsyncClient, visit: Visit) -> None:
    page = await look(browser, visit)
    words = text_of(page)
    for said in (
        "Your visit", "Not confirmed yet", WHEN, "60 minutes with Dr. A. Rivera, Eastern Time", "100 Sample Plaza",
        "Bring a photo ID", "Yes, I’ll be there", "Texts about your visits are on for the number ending in 42",
        "Email reminders are on.", "(201) 791-1100",
    ):  # fmt: skip
        assert said in words, said
    assert actions_on(page) == {"confirm", "move", "cancel"}
    assert {f"{path_of(visit)}.ics", "tel:2017911100"} <= set(Form(page).links)
    assert any("openstreetmap" in link for link in Form(page).links)


async def test_the_page_is_private_and_sound(browser: httpx.AsyncClient, desk: httpx.AsyncClient) -> None:
    visit = await booked(desk, patient={**ASH, "family_name": "Quillfeather"})
    for more in ("", "/cancel", "/move", ".ics", "?lang=es"):
        page = await look(browser, visit, more)
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-robots-tag"] == "noindex"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert not re.search(rf"Ash|Quillfeather|{NUMBER}|example.com|hip or|cadera|dolor", page.text), more
        if more == ".ics":
            continue
        assert len(gzip.compress(page.content)) <= LARGEST_PAGE
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
        assert page.text.count("<h1") == 1
        levels = [int(level) for level in re.findall(r"<h(\d)", page.text)]
        assert all(after <= before + 1 for before, after in pairwise(levels)), levels
        ids = re.findall(r'\bid="([^"]+)"', page.text)
        assert len(ids) == len(set(ids))
        assert html.unescape(re.findall("<title>(.*?) [|]", page.text)[0]) in TITLES


async def test_looking_changes_nothing_whoever_looks(browser: httpx.AsyncClient, visit: Visit, pool: Pool) -> None:
    before = await everything(pool)
    for agent in SCANNERS:
        for more in ("", ".ics", "/cancel", "/move", "/confirm", "/undo", "/preferences", "?did=cancelled&lang=es"):
            for method in ("GET", "HEAD"):
                response = await browser.request(method, path_of(visit) + more, headers={"User-Agent": agent})
                assert response.status_code in (200, 303), (method, more)
    # How often a client looks at open times is counted; nothing else is written down.
    assert {**await everything(pool), "rate_limits": ""} == {**before, "rate_limits": ""}


async def test_confirming_twice_is_confirming_once(browser: httpx.AsyncClient, visit: Visit, pool: Pool) -> None:
    form = await fields(browser, visit, "confirm")
    answers = [await browser.post(f"{path_of(visit)}/confirm", data=form) for _ in range(3)]
    assert {(one.status_code, one.headers["location"]) for one in answers} == {(303, f"{path_of(visit)}?did=confirmed")}
    found = await row(pool, visit)
    assert (found["status"], found["version"]) == ("confirmed", 2)
    trace = await pool.fetch("select actor from audit_events where action = 'visit.confirmed'")
    assert [one["actor"] for one in trace] == ["patient"]
    page = await look(browser, visit, "?did=confirmed")
    assert re.search(r'role="status">.*confirmed for Tuesday, December\xa08 at 10:00\xa0AM', page.text)
    assert "Add to calendar" in text_of(page)
    assert actions_on(page) == {"move", "cancel"}


async def test_two_taps_at_once_confirm_once(browser: httpx.AsyncClient, visit: Visit, pool: Pool) -> None:
    form = await fields(browser, visit, "confirm")
    answers = await asyncio.gather(*(browser.post(f"{path_of(visit)}/confirm", data=form) for _ in range(4)))
    assert {one.status_code for one in answers} == {303}
    assert (await row(pool, visit))["version"] == 2


async def test_moving_keeps_the_therapist_unless_anybody_is_chosen(
    browser: httpx.AsyncClient, visit: Visit, pool: Pool, clinic: Clinic
) -> None:
    page = await look(browser, visit, "/move")
    assert f"Your visit stays on {WHEN} until you choose another time." in text_of(page)
    chips = re.findall(r'<a class="chip" href="([^"]*)"( aria-current="true")?><b>([^<]*)', page.text)
    assert [(name, bool(chosen)) for _, chosen, name in chips] == [
        ("First available", False), ("Dr. A. Rivera", True), ("Dr. B. Okafor", False),
    ]  # fmt: skip
    assert f'value="{TEN}"' not in page.text, "the time that it has is none to choose"
    # A quarter of an hour later overlaps the visit's own place, which does not stand in its way.
    assert f'value="{DAY}T10:15:00-05:00"' in page.text
    form = Form(page).hidden[f"{path_of(visit)}/move"]
    assert form["who"] == "rivera"
    moved = await browser.post(f"{path_of(visit)}/move", data={**form, "start": f"{DAY}T10:15:00-05:00"})
    assert moved.headers["location"] == f"{path_of(visit)}?did=moved"
    assert "Your visit is now Tuesday, December 8 at 10:15 AM." in text_of(await look(browser, visit, "?did=moved"))
    assert (await row(pool, visit))["therapist_id"] == clinic.therapists["rivera"].id
    anybody = await look(browser, visit, f"/move?who=any&day={DAY}")
    assert Form(anybody).hidden[f"{path_of(visit)}/move"]["who"] == "any"
    await pool.execute(
        """insert into time_off (clinic_id, id, therapist_id, during)
        values ($1, gen_random_uuid(), $2, '[2026-12-08 05:00Z, 2026-12-09 05:00Z)')""",
        clinic.id,
        clinic.therapists["rivera"].id,
    )
    assert (await send(browser, visit, "move", start=TWO, who="any")).status_code == 303
    found = await row(pool, visit)
    assert (found["starts_at"], found["therapist_id"]) == (local(TWO), clinic.therapists["okafor"].id)
    kinds = [one["actor"] for one in await pool.fetch("select actor from audit_events where action like '%resched%'")]
    assert kinds == ["patient", "patient"]


async def test_a_move_sent_twice_is_one_move(browser: httpx.AsyncClient, visit: Visit, pool: Pool) -> None:
    form = {**await fields(browser, visit, "move"), "start": TWO}
    for _ in range(2):
        response = await browser.post(f"{path_of(visit)}/move", data=form)
        assert (response.status_code, response.headers["location"]) == (303, f"{path_of(visit)}?did=moved")
    assert (await row(pool, visit))["version"] == 2


async def test_choosing_the_time_that_the_visit_has_changes_nothing(
    browser: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    assert (await send(browser, visit, "confirm")).status_code == 303
    assert (await send(browser, visit, "move", start=TEN)).status_code == 303
    found = await row(pool, visit)
    assert (found["status"], found["version"]) == ("confirmed", 2)


async def test_other_visits_of_the_patient_are_no_times_to_choose(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit
) -> None:
    assert (await book(desk, "follow-up", TWO, therapist="okafor")).status_code == 201
    page = await look(browser, visit, f"/move?day={DAY}")
    assert f'value="{TWO}"' not in page.text
    assert f'value="{DAY}T14:45:00-05:00"' in page.text


async def test_a_time_taken_meanwhile_leaves_the_visit_where_it_is(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    form = await fields(browser, visit, "move")
    before = await row(pool, visit)
    await booked(desk, TWO, patient=JO)
    page = await browser.post(f"{path_of(visit)}/move", data={**form, "start": TWO})
    assert page.status_code == 409
    assert (
        "Someone just took 2:00 PM with Dr. A. Rivera. Your visit has not changed. The closest open times are below."
        in text_of(page)
    )
    assert re.search(r'<span class="slot lost"><b>2:00\xa0PM</b>', page.text)
    assert "3:15 PM" in text_of(page)
    assert await row(pool, visit) == before
    kept = await pool.fetchval("select count(*) from occupancy where visit_id = $1", UUID(visit["id"]))
    assert kept == 4, "therapist, room, treadmill and patient"
    # The page that says so takes the next choice.
    again = {**Form(page).hidden[f"{path_of(visit)}/move"], "start": f"{DAY}T15:15:00-05:00"}
    assert (await browser.post(f"{path_of(visit)}/move", data=again)).status_code == 303


async def test_a_race_for_one_time_leaves_every_visit_in_one_place(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    other = await booked(desk, f"{DAY}T12:45:00-05:00", patient=JO)
    forms = [(one, await fields(browser, one, "move")) for one in (visit, visit, other, other)]
    answers = await asyncio.gather(
        *(browser.post(f"{path_of(one)}/move", data={**form, "start": TWO}) for one, form in forms)
    )
    assert sorted(one.status_code for one in answers) == [303, 303, 409, 409]
    starts = [(await row(pool, one))["starts_at"] for one in (visit, other)]
    assert starts.count(local(TWO)) == 1
    assert await pool.fetchval("select count(*) from occupancy") == 8


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("2026-11-23T11:00:00-05:00", 409),
        ("2026-11-01T10:00:00-05:00", 409),
        (f"{DAY}T10:07:00-05:00", 409),
        ("2027-11-01T10:00:00-04:00", 409),
        (f"{DAY}T03:00:00-05:00", 409),
        ("soon", 422),
        ("", 422),
    ],
)
async def test_a_time_that_is_not_on_the_list_is_refused(
    browser: httpx.AsyncClient, visit: Visit, pool: Pool, start: str, status: int
) -> None:
    before = await row(pool, visit)
    page = await send(browser, visit, "move", start=start)
    assert page.status_code == status
    assert "(201) 791-1100" in text_of(page)
    assert await row(pool, visit) == before


async def test_cancelling_asks_first_and_can_be_undone_for_ten_minutes(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool, clock: Any
) -> None:
    page = await look(browser, visit, "/cancel")
    assert text_of(page).index("Keep my visit") < text_of(page).index("Cancel this visit ")
    assert page.text.count('type="radio"') == 4
    assert " checked" not in page.text
    assert (await send(browser, visit, "cancel", reason="time")).headers[
        "location"
    ] == f"{path_of(visit)}?did=cancelled"
    found = await row(pool, visit)
    assert (found["status"], found["cancel_reason"]) == (
        "cancelled", "Canceled online by the patient: the time does not work any more",
    )  # fmt: skip
    notices = [one["kind"] for one in await messages_of(desk, visit) if one["state"] == "pending"]
    assert set(notices) == {"cancelled_by_patient"}
    page = await look(browser, visit, "?did=cancelled")
    assert "Your visit is canceled." in text_of(page)
    assert "until 10:10 AM" in text_of(page)
    assert actions_on(page) == {"undo"}
    assert "/book" in Form(page).links
    assert (await browser.get(f"{path_of(visit)}.ics")).status_code == 404
    form = await fields(browser, visit, "undo")
    for _ in range(2):
        back = await browser.post(f"{path_of(visit)}/undo", data=form)
        assert back.headers["location"] == f"{path_of(visit)}?did=kept"
    assert (await row(pool, visit))["status"] == "booked"
    assert f"Your visit is back: {WHEN}." in text_of(await look(browser, visit, "?did=kept"))
    await send(browser, visit, "cancel")
    form = await fields(browser, visit, "undo")
    clock.shift(timedelta(minutes=10, seconds=1))
    assert actions_on(await look(browser, visit)) == set()
    assert (await browser.post(f"{path_of(visit)}/undo", data=form)).status_code == 409
    assert (await row(pool, visit))["cancel_reason"] == "Canceled online by the patient"


async def test_cancelling_twice_is_cancelling_once(browser: httpx.AsyncClient, visit: Visit, pool: Pool) -> None:
    form = await fields(browser, visit, "cancel")
    for _ in range(2):
        assert (await browser.post(f"{path_of(visit)}/cancel", data=form)).status_code == 303
    assert (await row(pool, visit))["version"] == 2


async def test_undoing_says_so_where_the_time_has_gone(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    await send(browser, visit, "cancel")
    form = await fields(browser, visit, "undo")
    await booked(desk, patient=JO)
    page = await browser.post(f"{path_of(visit)}/undo", data=form)
    assert page.status_code == 409
    assert "That time went to someone else. Your visit is still canceled." in text_of(page)
    assert (await row(pool, visit))["status"] == "cancelled"


async def test_what_the_clinic_cancelled_is_not_for_the_patient_to_undo(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    form = await fields(browser, visit, "cancel")
    await act(desk, visit, "cancel", reason="The therapist is ill", by="clinic")
    page = await look(browser, visit)
    assert "Canceled" in text_of(page)
    assert "Book again" in text_of(page)
    assert "ill" not in text_of(page).split()
    assert actions_on(page) == set()
    refused = await browser.post(f"{path_of(visit)}/undo", data={**form, "version": "2"})
    assert refused.status_code == 409
    assert (await row(pool, visit))["status"] == "cancelled"


async def test_a_visit_changed_meanwhile_is_shown_as_it_is_and_nothing_is_done(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    forms = {action: await fields(browser, visit, action) for action in ("confirm", "cancel", "move")}
    await act(desk, visit, "reschedule", starts_at=TWO)
    before = await row(pool, visit)
    for action, form in forms.items():
        page = await browser.post(f"{path_of(visit)}/{action}", data={**form, "start": f"{DAY}T15:00:00-05:00"})
        assert page.status_code == 409
        assert 'role="alert"' in page.text
        assert "This visit has changed since you opened the page" in text_of(page)
        assert "Tuesday, December 8 at 2:00 PM" in text_of(page)
        assert Form(page).hidden[f"{path_of(visit)}/confirm"]["version"] == "2"
    assert await row(pool, visit) == before


@pytest.mark.parametrize("version", ["", "0", "-1", "x", "²", "1" * 40])
async def test_a_form_without_a_version_does_nothing(
    browser: httpx.AsyncClient, visit: Visit, pool: Pool, version: str
) -> None:
    assert (await send(browser, visit, "confirm", version=version)).status_code == 409
    assert (await row(pool, visit))["status"] == "booked"


async def test_a_move_by_the_clinic_is_told_with_both_times(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit
) -> None:
    await act(desk, visit, "reschedule", starts_at=TWO)
    words = text_of(await look(browser, visit))
    assert f"Your time has changed. It was {WHEN}. Tell us if the new time works for you" in words
    assert "Tuesday, December 8 at 2:00 PM" in words
    await send(browser, visit, "confirm")
    assert "Your time has changed" not in text_of(await look(browser, visit))


async def test_inside_the_notice_the_page_says_call_before_any_button_fails(
    browser: httpx.AsyncClient, visit: Visit, pool: Pool, clock: Any
) -> None:
    forms = {action: await fields(browser, visit, action) for action in ("cancel", "move")}
    clock.move_to(local(TEN) - timedelta(hours=23))
    before = await row(pool, visit)
    page = await look(browser, visit)
    assert "Your visit is less than 24 hours away. To change or cancel it, please call us at" in text_of(page)
    assert "Call to change" in text_of(page)
    assert actions_on(page) == {"confirm"}
    for action, form in forms.items():
        assert (await browser.get(f"{path_of(visit)}/{action}")).headers["location"] == path_of(visit)
        refused = await browser.post(f"{path_of(visit)}/{action}", data={**form, "start": f"{DAY}T15:00:00-05:00"})
        assert refused.status_code == 409
        assert "It is too late to do this online. Your visit has not changed." in text_of(refused)
        assert "(201) 791-1100" in text_of(refused)
        assert actions_on(refused) == {"confirm"}
    assert await row(pool, visit) == before
    assert (await send(browser, visit, "confirm")).status_code == 303


async def test_what_was_booked_a_moment_ago_is_still_changed_online(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, clock: Any
) -> None:
    clock.move_to(local(TEN) - timedelta(hours=3))
    visit = await booked(desk)
    page = await look(browser, visit)
    assert "you can still change or cancel it here until 7:10 AM." in text_of(page)
    assert {"move", "cancel"} <= actions_on(page)
    form = await fields(browser, visit, "cancel")
    assert (await browser.post(f"{path_of(visit)}/cancel", data=form)).status_code == 303
    assert (await send(browser, visit, "undo")).status_code == 303
    clock.shift(timedelta(minutes=11))
    assert actions_on(await look(browser, visit)) == {"confirm"}
    assert (await row(pool, visit))["status"] == "booked"


async def test_a_visit_under_way_and_after_it(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool, clock: Any
) -> None:
    form = await fields(browser, visit, "confirm")
    clock.move_to(local(TEN) + timedelta(minutes=5))
    page = await look(browser, visit)
    assert "It is time for your visit" in text_of(page)
    assert actions_on(page) == set()
    assert (await browser.post(f"{path_of(visit)}/confirm", data=form)).status_code == 409
    await act(desk, visit, "arrive")
    assert "You are checked in" in text_of(await look(browser, visit))
    clock.move_to(local(TEN) + timedelta(hours=2))
    visit_over = text_of(await look(browser, visit))
    assert "This visit is over" in visit_over
    assert "Thank you for coming." in visit_over
    assert "Book a follow-up" in visit_over
    assert WHEN in visit_over
    # A day later the page is still there, and tells nothing any more.
    clock.move_to(local(TEN) + timedelta(hours=26))
    page = await look(browser, visit)
    assert "December" not in text_of(page)
    assert (await browser.get(f"{path_of(visit)}.ics")).status_code == 404
    clock.move_to(local("2026-12-10T00:00:00-05:00"))
    await look(browser, visit, status=404)
    assert (await row(pool, visit))["status"] == "arrived"


async def test_a_missed_visit_is_told_kindly(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, clock: Any
) -> None:
    clock.move_to(local(TEN) + timedelta(minutes=30))
    assert (await act(desk, visit, "no-show")).status_code == 200
    page = await look(browser, visit)
    assert "We missed you" in text_of(page)
    assert "/book" in Form(page).links
    assert actions_on(page) == set()


async def test_a_link_follows_the_visit_and_a_cancelled_one_stays_for_thirty_days(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, clock: Any
) -> None:
    later = "2026-12-15T10:00:00-05:00"
    assert (await act(desk, visit, "reschedule", starts_at=later)).status_code == 200
    clock.move_to(local(later) + timedelta(days=1))
    await look(browser, visit)
    clock.move_to(NOW)
    await send(browser, visit, "cancel")
    clock.shift(timedelta(days=29, hours=23))
    assert "Book again" in text_of(await look(browser, visit))
    clock.shift(timedelta(hours=2))
    await look(browser, visit, status=404)


async def test_a_day_on_which_the_clinic_has_closed_since_is_said(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, clock: Any
) -> None:
    form = await fields(browser, visit, "confirm")
    closed = await desk.put(f"/api/v1/closures/{DAY}", json={"windows": [], "reason": "Snow"})
    assert closed.status_code in (200, 201), closed.text
    page = await look(browser, visit)
    assert "We are closed at this time. Please choose another time, or call us at (201) 791-1100" in text_of(page)
    assert actions_on(page) == {"move", "cancel"}
    assert (await browser.post(f"{path_of(visit)}/confirm", data=form)).status_code == 409
    assert "December 9" in text_of(await look(browser, visit, "/move"))
    clock.move_to(local(TEN) - timedelta(hours=2))
    page = await look(browser, visit)
    assert "We are closed at this time. Please call us for another time: (201) 791-1100" in text_of(page)
    assert actions_on(page) == set()


async def test_texts_are_turned_off_and_on_again_with_what_is_planned(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    assert (await send(browser, visit, "preferences", texts="off")).headers["location"].endswith("?did=saved")
    page = await look(browser, visit, "?did=saved")
    assert "Your choice is saved." in text_of(page)
    assert "Texts about your visits are off. Twin Boro Physical Therapy will text" in text_of(page)
    texts = [one for one in await messages_of(desk, visit) if one["channel"] == "sms"]
    assert {one["state"] for one in texts} == {"suppressed"}
    assert (await send(browser, visit, "preferences", texts="on")).status_code == 303
    said = await pool.fetch(
        """select granted, method, actor, wording_version, client_address from consents where channel = 'sms'
        order by recorded_at, id"""
    )
    assert [tuple(one) for one in said[1:]] == [
        (False, "private link", "patient", "2026-11", "127.0.0.1"),
        (True, "private link", "patient", "2026-11", "127.0.0.1"),
    ]
    reminders = [one for one in await messages_of(desk, visit) if (one["channel"], one["kind"]) == ("sms", "reminder")]
    assert {one["state"] for one in reminders} == {"pending"}
    await send(browser, visit, "preferences", texts="on")
    assert await pool.fetchval("select count(*) from consents where channel = 'sms'") == 3


async def test_texts_that_were_stopped_stay_stopped_and_the_page_says_how_to_start(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    await desk.post(
        f"/api/v1/patients/{visit['patient']['id']}/consents",
        json={"channel": "sms", "granted": False, "wording_version": "2026-11", "method": "sms"},
    )
    page = await look(browser, visit)
    assert "Texts are off. Text START to turn them on." in text_of(page)
    assert not [one for one in Form(page).buttons if one[1] == "texts"]
    await send(browser, visit, "preferences", texts="on")
    assert await pool.fetchval("select granted from consents order by recorded_at desc limit 1") is False
    # Nor does it help to be booked under another name.
    other = await booked(desk, TWO, patient={"given_name": "Bo", "family_name": "Sample", "phone": "201 555 0142"})
    assert "Texts are off. Text START to turn them on." in text_of(await look(browser, other))
    await send(browser, other, "preferences", texts="on")
    assert await pool.fetchval("select granted from consents order by recorded_at desc limit 1") is False


async def test_email_reminders_are_turned_off_and_on(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    await send(browser, visit, "preferences", emails="off")
    page = await look(browser, visit)
    assert "Email reminders are off." in text_of(page)
    assert (f"{path_of(visit)}/preferences", "emails", "on") in Form(page).buttons
    await send(browser, visit, "preferences", emails="on")
    assert "Email reminders are on." in text_of(await look(browser, visit))
    said = await pool.fetch("select scope, granted, actor from consents where channel = 'email' order by recorded_at")
    assert [tuple(one) for one in said] == [("reminders", False, "patient"), ("reminders", True, "patient")]
    without = await booked(desk, TWO, patient=JO)
    assert "Email reminders" not in text_of(await look(browser, without))


async def test_the_page_speaks_the_patients_language_and_so_do_their_messages_when_it_changes(
    app: Litestar, browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit
) -> None:
    assert '<html lang="en">' in (await look(browser, visit)).text
    changed = await send(browser, visit, "preferences", language="es")
    assert changed.headers["location"] == f"{path_of(visit)}?did=saved&lang=es"
    page = await browser.get(changed.headers["location"])
    assert '<html lang="es">' in page.text
    assert "Guardamos su elección." in text_of(page)
    planned = [one for one in await messages_of(desk, visit) if one["state"] == "pending"]
    assert planned
    assert {one["language"] for one in planned} == {"es"}
    # Another telephone of theirs, which prefers English, is spoken to as they chose; until they choose there.
    async with client_of(app, Accept="text/html", **{"Accept-Language": "en"}) as other:
        assert '<html lang="es">' in (await look(other, visit)).text
        assert '<html lang="en">' in (await look(other, visit, "?lang=en")).text
        assert '<html lang="en">' in (await look(other, visit)).text
    await send(browser, visit, "preferences", language="fr")
    assert (await desk.get(f"/api/v1/visits/{visit['id']}")).json()["language"] == "es"


async def test_in_spanish_no_word_is_english(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, clock: Any
) -> None:
    english = [pair[0] for pair in WORDS.values() if pair[0] != pair[1] and "{" not in pair[0] and pair[0] != "English"]
    pages = [await look(browser, visit, more) for more in ("?lang=es", "/cancel", "/move")]
    await act(desk, visit, "reschedule", starts_at=TWO)
    pages += [await look(browser, visit), await send(browser, visit, "confirm", version="1")]
    await send(browser, visit, "preferences", texts="off")
    pages += [await look(browser, visit, "?did=saved"), await look(browser, {"manage_url": "/m/x"}, status=404)]
    await send(browser, visit, "cancel")
    pages.append(await look(browser, visit, "?did=cancelled"))
    await send(browser, visit, "undo")
    clock.move_to(local(TWO) - timedelta(hours=2))
    pages.append(await look(browser, visit))
    for page in pages:
        assert '<html lang="es">' in page.text
        words = text_of(page)
        assert [text for text in english if re.search(rf"\b{re.escape(text)}\b", words)] == [], words


async def test_an_unknown_an_expired_a_revoked_and_a_foreign_link_look_the_same(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, app: Litestar, tmp_path: Path, clock: Any
) -> None:
    text = (ROOT / "config" / "clinic.toml").read_text(encoding="utf-8")
    other = text.replace('"fair-lawn"', '"wayne"').replace("hosts = []", 'hosts = ["wayne.test"]')
    ours = text.replace("hosts = []", 'hosts = ["clinic.test", "127.0.0.1"]')
    for name, content in (("a", ours), ("b", other)):
        (tmp_path / f"{name}.toml").write_text(content, encoding="utf-8")
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(tmp_path))
        clinics = await load_clinics(connection)
    app.state.directory.replace(clinics)
    second = next(one for one in clinics if one.code == "wayne")
    expired, revoked = await booked(desk, TEN), await booked(desk, TWO, patient=JO)
    async with client_of(app, Authorization=f"Bearer {await make_key(pool, second, 'admin')}") as there:
        foreign = await booked(there, "2026-12-10T10:00:00-05:00")
    clock.move_to(local("2026-12-10T08:00:00-05:00"))
    await pool.execute("update visit_links set revoked_at = now() where visit_id = $1", UUID(revoked["id"]))
    assert (await browser.get(path_of(foreign), headers={"Host": "wayne.test"})).status_code == 200
    # Every link begins with PUBLIC_BASE_URL, so there the clinic is told by the token alone.
    assert (await browser.get(path_of(foreign), headers={"Host": "127.0.0.1:8000"})).status_code == 200
    paths = [path_of(one) for one in (expired, revoked, foreign)] + [f"/m/{'x' * 22}", "/m/x", "/m/%FF%00", "/m/.ics"]
    for more in ("", "/move", "/cancel", ".ics", "?lang=es"):
        answers = [await browser.get(path + more, headers={"X-Request-Id": "the-same-id"}) for path in paths]
        assert {(one.status_code, one.text, str(sorted(one.headers.items()))) for one in answers} == {
            (404, answers[0].text, str(sorted(answers[0].headers.items())))
        }, more
        assert "This link no longer works" in text_of(answers[0]) or "lang=" in more
        assert "(201) 791-1100" in text_of(answers[0])
        browser.cookies.clear()
    for action in ("confirm", "cancel", "move", "undo", "preferences"):
        sent = {"key": "x", "version": "1", "start": "2026-12-15T10:00:00-05:00"}
        posted = [await browser.post(f"{path}/{action}", data=sent) for path in paths]
        assert {(one.status_code, one.text) for one in posted} == {(404, posted[0].text)}, action
        await pool.execute("delete from rate_limits")


async def test_a_form_that_is_not_ours_does_nothing(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    other = await booked(desk, TWO, patient=JO)
    foreign_key = (await fields(browser, other, "confirm"))["key"]
    before = await everything(pool)
    for key in ("", "x" * 22, "ñ", foreign_key):
        for action in ("confirm", "cancel", "move", "undo", "preferences"):
            sent = {"key": key, "version": "1", "start": TWO, "texts": "off", "language": "es"}
            page = await browser.post(f"{path_of(visit)}/{action}", data=sent)
            assert page.status_code == 403
            assert "Please try again." in text_of(page)
        assert (await browser.post(f"{path_of(visit)}/confirm", json={"key": key})).status_code == 415
        await pool.execute("delete from rate_limits")
    assert {**await everything(pool), "rate_limits": ""} == {**before, "rate_limits": ""}


async def test_a_failure_of_ours_is_a_page_about_the_visit_that_does_not_show_the_token(
    browser: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    await pool.execute("alter table visit_links rename to lost_links")
    try:
        with capture_logs() as logs:
            page = await browser.get(path_of(visit))
    finally:
        await pool.execute("alter table lost_links rename to visit_links")
    assert page.status_code == 500
    assert "We don’t think your visit has changed." in text_of(page)
    assert path_of(visit) not in page.text
    assert path_of(visit).removeprefix("/m/") not in str(logs)


async def test_the_calendar_file_is_that_of_the_done_page(browser: httpx.AsyncClient, visit: Visit) -> None:
    calendar = await look(browser, visit, ".ics")
    assert calendar.headers["content-type"].startswith("text/calendar")
    assert "\r\nDTSTART:20261208T150000Z\r\n" in calendar.text
    assert f"UID:{visit['id']}" in calendar.text


async def test_the_token_is_nowhere_in_the_database(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    body = {"visit_type": "follow-up", "starts_at": TWO, "patient": JO}
    first = await desk.post("/api/v1/visits", json=body, headers=headers)
    again = await desk.post("/api/v1/visits", json=body, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    await send(browser, visit, "confirm")
    tokens = [path_of(one).removeprefix("/m/") for one in (visit, first.json())]
    for table in await pool.fetch("select tablename from pg_tables where schemaname = 'public'"):
        kept = str([dict(one) for one in await pool.fetch(f'select * from "{table[0]}"')])
        assert not [token for token in tokens if token in kept], table


async def test_whoever_may_change_visits_is_told_the_link_and_nobody_else(
    app: Litestar, pool: Pool, clinic: Clinic, public: httpx.AsyncClient, desk: httpx.AsyncClient, settings: Settings
) -> None:
    held = await hold(public, "eval-run", TEN, therapist="rivera")
    visit = (await book_held(public, held)).json()
    assert visit["manage_url"] == manage_url(
        settings.secret_key, settings.public_base_url, clinic.id, UUID(visit["id"])
    )
    paths = (
        f"/api/v1/visits/{visit['id']}", f"/api/v1/visits?patient_id={visit['patient']['id']}",
        f"/api/v1/patients/{visit['patient']['id']}/visits",
    )  # fmt: skip
    for scopes, told in ((("admin",), True), (("visits:read", "visits:write"), True), (("visits:read",), False)):
        async with pool.acquire() as connection:
            _, key = await create_api_key(connection, clinic, " and ".join(scopes), list(scopes), actor=SYSTEM)
        async with client_of(app, Authorization=f"Bearer {key}") as client:
            for path in paths:
                answer = (await client.get(path)).json()
                one = answer["items"][0] if "items" in answer else answer
                assert one["manage_url"] == (visit["manage_url"] if told else None), (scopes, path)
    moved = await act(desk, visit, "reschedule", starts_at=TWO)
    assert moved.json()["manage_url"] == visit["manage_url"]
    assert (await public.get(f"/api/v1/visits/{visit['id']}")).status_code == 401


async def test_the_last_page_of_booking_shows_the_link(browser: httpx.AsyncClient) -> None:
    held = await browser.post("/book/holds", data={"type": "eval-run", "start": TEN})
    url = held.headers["location"]
    token = re.findall(r'name="token" value="([^"]+)"', (await browser.get(url)).text)[0]
    details = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142"}
    done = await browser.get((await browser.post(url, data={"token": token, **details})).headers["location"])
    link = next(one for one in Form(done).links if "/m/" in one)
    assert link in text_of(done), "to be copied, or printed"
    assert "Please don’t forward it" in text_of(done)
    page = await browser.get("/m/" + link.rpartition("/")[2])
    assert WHEN in text_of(page)


async def test_visits_that_an_earlier_release_booked_get_their_link(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, visit: Visit, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    revoked = await booked(desk, TWO, patient=JO)
    await pool.execute("update visit_links set revoked_at = now() where visit_id = $1", UUID(revoked["id"]))
    await pool.execute("delete from visit_links where visit_id = $1", UUID(visit["id"]))
    assert (await desk.get(f"/api/v1/visits/{visit['id']}")).json()["manage_url"] is None
    await look(browser, visit, status=404)
    async with pool.acquire() as connection:
        for _ in range(2):
            await link_visits(connection, [clinic], secret_key=settings.secret_key)
    await look(browser, visit)
    await look(browser, revoked, status=404)
    assert (await desk.get(f"/api/v1/visits/{visit['id']}")).json()["manage_url"] == visit["manage_url"]


async def test_booking_makes_one_link_and_a_hold_makes_none(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    assert await pool.fetchval("select count(*) from visit_links") == 0
    for _ in range(2):
        assert (await book_held(public, held)).status_code == 201
    assert await pool.fetchval("select count(*) from visit_links") == 1


async def test_a_therapist_or_a_kind_of_visit_that_has_gone_leaves_the_page_whole(
    browser: httpx.AsyncClient, app: Litestar, visit: Visit, clinic: Clinic
) -> None:
    gone = {
        "visit_types": {code: one for code, one in clinic.visit_types.items() if code != "eval-run"},
        "therapists": {code: one for code, one in clinic.therapists.items() if code != "rivera"},
    }
    app.state.directory.replace([msgspec.structs.replace(clinic, **gone)])
    page = await look(browser, visit)
    assert WHEN in text_of(page)
    assert "Rivera" not in text_of(page)
    assert actions_on(page) == {"confirm"}
    assert (await browser.post(f"{path_of(visit)}/confirm", data=await fields(browser, visit, "confirm"))).is_redirect
