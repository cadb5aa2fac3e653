"""The desk's forms, as a browser without scripts sends them: what they do, what they refuse, and what they keep."""

import html
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.browser.days import Wanted, add_day
from tests.integration.staffing import Screen, hidden_fields, signed_in
from tests.integration.test_boards import book
from tests.phones import NUMBER

# A Tuesday on which all four of the sample clinic work; it is twenty to ten there.
DAY = date(2027, 3, 9)
NOW = datetime(2027, 3, 9, 14, 40, tzinfo=UTC)
BOARD = f"/staff/day/{DAY}"


@pytest.fixture
def morning() -> Iterator[None]:
    """Let it be twenty to ten on that Tuesday for the service. The database's clock goes on."""
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
async def screen(
    app: Litestar,
    pool: Pool,
    clinic: Clinic,
    settings: Settings,
    morning: None,  # noqa: ARG001
) -> AsyncIterator[Screen]:
    async with signed_in(app, pool, clinic, settings) as screen:
        yield screen


@pytest.fixture
async def other(
    app: Litestar,
    pool: Pool,
    clinic: Clinic,
    settings: Settings,
    screen: Screen,  # noqa: ARG001
) -> AsyncIterator[Screen]:
    """Yield the screen of somebody else at the same desk."""
    async with signed_in(app, pool, clinic, settings, username="bo", name="Bo Nguyen") as other:
        yield other


def forms(page: str, action: str) -> dict[str, str]:
    """Return the hidden fields of the form on a page that goes to an address ending so."""
    found = re.search(rf'<form[^>]*action="[^"]*{action}"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert found, f"no form goes to {action}"
    return {name: html.unescape(value) for name, value in hidden_fields(found[1]).items()}


async def press(screen: Screen, on: str, action: str, **typed: str) -> httpx.Response:
    """Send the form of a page that goes to an address ending so, as its button does."""
    page = (await screen.open(on)).text
    address = re.search(rf'<form[^>]*action="([^"]*{action})"', page)
    assert address, f"no form goes to {action}"
    return await send(screen, address[1], **forms(page, action), **typed)


async def send(screen: Screen, address: str, **fields: str) -> httpx.Response:
    return await screen.client.post(address, data=fields, headers={"Accept": "text/html"})


def words(page: str) -> str:
    """Return what a page says, without its tags."""
    body = re.sub(r"<svg.*?</svg>|<head>.*?</head>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))).replace("\u00a0", " ")


async def status_of(pool: Pool, visit: dict[str, Any]) -> str:
    return await pool.fetchval("select status from visits where id = $1", UUID(visit["id"]))


async def test_the_day_names_nobody_in_its_title_or_addresses(screen: Screen, desk: httpx.AsyncClient) -> None:
    visit = await book(desk, "11:00")
    for query in ("", f"?sel={visit['id']}", f"?move={visit['id']}", f"?sel={visit['id']}&do=cancel"):
        page = await screen.open(BOARD + query)
        assert page.status_code == 200
        assert "Ash" in page.text
        title = re.search("<title>(.*?)</title>", page.text, re.DOTALL)
        assert title
        for text in (title[1], *re.findall(r'(?:href|action)="([^"]*)"', page.text.replace("tel:+12015550142", ""))):
            assert not re.search(f"Ash|Quill|{NUMBER}", text), text
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"<[^>]* style=", page.text)


async def test_check_in_is_two_presses_and_leaves_a_trace_with_a_name(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "10:15")
    answer = await press(screen, f"{BOARD}?sel={visit['id']}", "/arrive")
    assert answer.headers["location"] == f"{BOARD}?sel={visit['id']}&did=arrive"
    page = words((await screen.follow(answer)).text)
    assert "Checked in." in page
    assert "Undo until 9:50 AM" in page
    actor = await pool.fetchval("select actor from audit_events where action = 'visit.arrived'")
    assert actor.startswith("staff:")


async def test_the_whole_life_of_a_visit_by_forms(screen: Screen, desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = await book(desk, "09:00")
    at = f"{BOARD}?sel={visit['id']}"
    for action, status in (("/confirm", "confirmed"), ("/no_show", "no_show"), ("/undo", "confirmed"),
                           ("/arrive", "arrived"), ("/complete", "completed"), ("/undo", "arrived")):  # fmt: skip
        assert (await press(screen, at, action)).status_code == 303
        assert await status_of(pool, visit) == status
    page = (await screen.open(at)).text
    assert 'action="/staff/visits/' in page
    assert "/no_show" not in page, "nobody who is here is a no-show"


async def test_what_cannot_be_done_is_not_offered_and_not_done(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "13:00")
    page = (await screen.open(f"{BOARD}?sel={visit['id']}")).text
    assert "/arrive" not in page
    assert "/no_show" not in page
    fields = forms(page, "/confirm")
    answer = await send(screen, f"/staff/visits/{visit['id']}/arrive", **fields)
    assert answer.status_code == 409
    assert "Check-in opens an hour before the visit. Nothing changed." in words(answer.text)
    assert await status_of(pool, visit) == "booked"
    assert (await send(screen, f"/staff/visits/{visit['id']}/explode", **fields)).status_code == 404


async def test_moving_by_a_gap_keeps_the_old_time_until_the_new_one_is_taken(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "11:00")
    at = f"{BOARD}?move={visit['id']}"
    page = (await screen.open(at)).text
    button = re.search(r'<button class="gap gap-move"[^>]*form="move"[^>]*value="(okafor [^"]*)"', page)
    assert button
    answer = await press(screen, at, "/move", to=button[1], notify="yes")
    assert answer.headers["location"].endswith("did=reschedule")
    moved = await pool.fetchrow("select therapist_id, starts_at, version from visits where id = $1", UUID(visit["id"]))
    assert moved is not None
    assert moved["version"] == 2
    assert moved["starts_at"].isoformat() == datetime.fromisoformat(button[1].split()[1]).astimezone(UTC).isoformat()


async def test_a_move_to_a_gap_that_was_taken_meanwhile_leaves_both_visits_as_they_are(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "11:00")
    page = (await screen.open(f"{BOARD}?move={visit['id']}")).text
    fields = forms(page, "/move")
    await book(desk, "14:00", "okafor", patient={"given_name": "Bo", "phone": "201 555 0143"})
    to = f"okafor {DAY}T14:00:00-05:00"
    answer = await send(screen, f"/staff/visits/{visit['id']}/move", **fields, to=to)
    assert answer.status_code == 409
    assert "Dr. B. Okafor has somebody else then. Nothing changed" in words(answer.text)
    times = await pool.fetch("select starts_at from visits order by starts_at")
    assert [row["starts_at"].isoformat()[11:16] for row in times] == ["16:00", "19:00"]


async def test_a_move_without_a_time_says_what_to_do(screen: Screen, desk: httpx.AsyncClient) -> None:
    visit = await book(desk, "11:00")
    for to in ("", "nobody 2027-03-09T14:00:00-05:00", "okafor tomorrow", "okafor 2027-03-09T14:00:00"):
        answer = await press(screen, f"{BOARD}?move={visit['id']}", "/move", to=to)
        assert answer.status_code == 422
        assert "Choose a time on the schedule or from the list. Nothing changed." in words(answer.text)


async def test_cancelling_says_why_tells_the_patient_if_wanted_and_can_be_undone(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "11:00", patient={"email": "ash@example.com"})
    at = f"{BOARD}?sel={visit['id']}"
    answer = await press(
        screen, f"{at}&do=cancel", "/cancel", why="therapist", reason="  back on\tMonday ", notify="yes"
    )
    page = words((await screen.follow(answer)).text)
    assert "Canceled." in page
    assert "The therapist is away: back on Monday" in page
    assert "Canceled today" not in page or "11:00 AM , Ash Q." in page
    assert await pool.fetchval("select count(*) from messages where kind = 'cancelled_by_clinic'") == 1
    assert (await press(screen, at, "/undo")).status_code == 303
    assert await status_of(pool, visit) == "booked"
    await press(screen, f"{at}&do=cancel", "/cancel", why="patient")
    assert await pool.fetchval("select count(*) from messages where kind = 'cancelled_by_patient'") == 0, "not wanted"


async def test_the_second_of_two_desks_sees_who_changed_it_and_when_and_keeps_what_was_typed(
    screen: Screen, other: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "11:00")
    stale = (await screen.open(f"{BOARD}?sel={visit['id']}&do=cancel")).text
    moved = f"rivera {DAY}T14:15:00-05:00"
    assert (await press(other, f"{BOARD}?move={visit['id']}", "/move", to=moved)).status_code == 303
    cancel = f"/staff/visits/{visit['id']}/cancel"
    answer = await send(screen, cancel, **forms(stale, "/cancel"), why="weather", reason="Ice on the road")
    assert answer.status_code == 409
    page = words(answer.text)
    assert re.search(
        r"This visit was moved to 2:15 PM by B\.N\. at \d+:\d\d [AP]M( on \w+, \w+ \d+)?\. Nothing changed\.", page
    )
    assert 'value="Ice on the road"' in answer.text
    assert re.search(r'value="weather" checked', answer.text)
    assert "2:15 to 3:00 PM with Dr. A. Rivera" in page
    assert await status_of(pool, visit) == "booked"
    # The form that is shown now has the version that it shows.
    again = await send(screen, cancel, **forms(answer.text, "/cancel"), why="weather", reason="Ice")
    assert again.status_code == 303
    assert await status_of(pool, visit) == "cancelled"


async def test_a_button_pressed_twice_does_its_work_once(screen: Screen, desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = await book(desk, "10:00")
    fields = forms((await screen.open(f"{BOARD}?sel={visit['id']}")).text, "/arrive")
    answers = [await send(screen, f"/staff/visits/{visit['id']}/arrive", **fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert await pool.fetchval("select count(*) from audit_events where action = 'visit.arrived'") == 1


@pytest.mark.parametrize("version", ["", "x", "0", "-1", "9" * 12, "٣"])
async def test_a_version_that_is_none_changes_nothing(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool, version: str
) -> None:
    visit = await book(desk, "10:00")
    fields = forms((await screen.open(f"{BOARD}?sel={visit['id']}")).text, "/arrive") | {"version": version}
    answer = await send(screen, f"/staff/visits/{visit['id']}/arrive", **fields)
    assert answer.status_code == 409
    assert await status_of(pool, visit) == "booked"


async def test_a_form_without_this_sessions_token_is_refused(
    screen: Screen, other: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "10:00")
    address = f"/staff/visits/{visit['id']}/arrive"
    fields = forms((await screen.open(f"{BOARD}?sel={visit['id']}")).text, "/arrive")
    for csrf in ("", "x", forms((await other.open(f"{BOARD}?sel={visit['id']}")).text, "/arrive")["csrf"]):
        assert (await send(screen, address, **(fields | {"csrf": csrf}))).status_code == 403
    assert await status_of(pool, visit) == "booked"


async def test_an_action_in_another_session_that_ended_leads_to_the_sign_in_and_back(screen: Screen) -> None:
    screen.client.cookies.clear()
    answer = await screen.open(f"{BOARD}?find=1")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/staff/sign-in?next=%2Fstaff%2Fday%2F")


async def test_booking_from_a_gap_finds_the_patient_and_takes_the_gap(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    await book(desk, "09:00")
    page = (await screen.open(BOARD)).text
    gap = re.search(r'<a class="gap gap-open"[^>]*href="([^"]*who=marsh[^"]*)"', page)
    assert gap
    at = html.unescape(gap[1])
    for search in ("quill", "0142"):
        found = await screen.follow(await press(screen, at, "/patients/find", q=search))
        assert "Ash Quillfeather" in found.text
        assert search not in str(found.url)
    chosen = html.unescape(re.search(r'href="([^"]*patient=[0-9a-f-]{36}[^"]*)"', found.text)[1])  # pyright: ignore
    form = (await screen.open(chosen)).text
    assert 'value="follow-up" selected' in form, "who was here before comes back for a follow-up"
    filled = dict(re.findall(r'<input id="\w+" name="(day|time)" type="\w+" value="([^"]*)"', form))
    answer = await press(screen, chosen, "/staff/visits", kind="follow-up", who="marsh", **filled)
    assert answer.status_code == 303, words(answer.text)
    page = words((await screen.follow(answer)).text)
    assert "Booked." in page
    assert await pool.fetchval("select count(*) from visits") == 2
    created = await pool.fetchval("select created_by from visits order by created_at desc limit 1")
    assert created.startswith("staff:")


NEW = {"given_name": "Kit", "family_name": "Fernweh", "phone": "201 555 0177", "email": "", "language": "en",
       "kind": "eval", "who": "okafor", "day": str(DAY), "time": "10:00", "texts": "phone"}  # fmt: skip


async def test_a_new_patient_is_booked_with_what_they_said_about_texts(screen: Screen, pool: Pool) -> None:
    answer = await press(screen, f"{BOARD}?new=1&patient=new", "/staff/visits", **NEW)
    assert answer.status_code == 303, words(answer.text)
    consent = await pool.fetchrow("select granted, method, actor from consents")
    assert consent is not None
    assert (consent["granted"], consent["method"], consent["actor"][:6]) == (True, "phone", "staff:")


async def test_a_form_with_mistakes_names_each_and_keeps_everything(screen: Screen, pool: Pool) -> None:
    typed = NEW | {"given_name": "", "phone": "12", "time": "", "email": "kit@"}
    answer = await press(screen, f"{BOARD}?new=1&patient=new", "/staff/visits", **typed)
    assert answer.status_code == 422
    page = words(answer.text)
    for sentence in (
        "Enter the first name",
        "Enter a 10-digit US number",
        "Enter an email address",
        "Enter a date and a time",
    ):
        assert page.count(sentence) == 2, sentence
    for value in ("Fernweh", "12", "kit@", str(DAY)):
        assert f'value="{value}"' in answer.text
    assert re.search(r'value="okafor" selected', answer.text)
    assert re.search(r'value="phone" selected', answer.text)
    assert answer.text.count('aria-invalid="true"') == 4
    assert await pool.fetchval("select count(*) from visits") == 0


async def test_a_taken_time_offers_the_nearest_and_may_be_squeezed_into_with_a_reason(
    screen: Screen, desk: httpx.AsyncClient
) -> None:
    await book(desk, "10:00", "okafor")
    at = f"{BOARD}?new=1&patient=new"
    answer = await press(screen, at, "/staff/visits", **NEW)
    assert answer.status_code == 409
    page = words(answer.text)
    assert "Dr. B. Okafor has somebody else then. Nothing was booked." in page
    assert 'value="Fernweh"' in answer.text
    offered = re.findall(r'name="to" value="([^"]*)"', answer.text)
    assert len(offered) == 5
    other = NEW | {"given_name": "Lu"}
    assert (await press(screen, at, "/staff/visits", **other, to=offered[-1])).status_code == 303
    silent = await press(screen, at, "/staff/visits", **NEW, anyway="yes", reason=" ")
    assert silent.status_code == 422
    assert "Say why it is squeezed in" in words(silent.text)
    squeezed = await press(screen, at, "/staff/visits", **NEW, anyway="yes", reason="Came from far away")
    assert squeezed.status_code == 303, words(squeezed.text)
    assert "Squeezed in: Came from far away" in words((await screen.follow(squeezed)).text)
    page = (await screen.open(BOARD)).text
    assert page.count("of2 at") == 2, "both are there, side by side"


async def test_a_booking_sent_twice_is_one_visit(screen: Screen, pool: Pool) -> None:
    at = f"{BOARD}?new=1&patient=new"
    first, second = [await press(screen, at, "/staff/visits", **NEW) for _ in range(2)]
    assert first.headers["location"] == second.headers["location"]
    assert await pool.fetchval("select count(*) from visits") == 1


async def test_who_cannot_do_a_visit_cannot_be_made_to(screen: Screen) -> None:
    answer = await press(screen, f"{BOARD}?new=1&patient=new", "/staff/visits", **(NEW | {"who": "marsh"}))
    assert answer.status_code == 409
    assert "D. Marsh does not do this visit." in words(answer.text)
    assert "anyway" not in answer.text
    off = await press(screen, f"{BOARD}?new=1&patient=new", "/staff/visits", **(NEW | {"time": "20:30"}))
    assert "Dr. B. Okafor does not work then." in words(off.text)


async def test_a_search_says_when_it_finds_none_too_many_or_cannot_look(
    screen: Screen, pool: Pool, clinic: Clinic
) -> None:
    await add_day(
        pool, clinic, DAY,
        [Wanted(therapist="rivera", start=f"{8 + index // 4:02}:{index % 4 * 15:02}", kind="follow-up",
                given_name=f"Al{'abcdefghijkl'[index]}", family_name="Many", status="completed", told="")
         for index in range(12)],
    )  # fmt: skip
    at = f"{BOARD}?new=1"

    async def look(search: str) -> str:
        return words((await screen.follow(await press(screen, at, "/patients/find", q=search))).text)

    assert "There are more. Type another letter." in await look("many")
    assert "No patient found." in await look("zebra")
    assert "Type at least 2 letters of a name" in await look("z")
    assert "Type at least the last 4 digits" in await look("12")


async def test_blocking_time_lists_whom_it_affects_and_each_moves_with_one_press(
    screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = await book(desk, "14:00")
    block = {
        "who": "rivera",
        "from_day": str(DAY),
        "from_time": "13:00",
        "to_day": str(DAY),
        "to_time": "16:00",
        "reason": "course",
    }
    tried = await press(screen, f"{BOARD}?block=rivera", "/time-off", **block, **{"try": "yes"})
    assert tried.status_code == 200
    assert "1 visit would be in the way." in words(tried.text)
    assert await pool.fetchval("select count(*) from time_off") == 0
    made = await press(screen, f"{BOARD}?block=rivera", "/time-off", **block)
    page = (await screen.follow(made)).text
    assert "Tue, Mar 9, 1:00 to 4:00 PM" in words(page)
    assert "Out until 4:00 PM" in words(page)
    assert "Needs a new time" in words(page)
    proposal = re.search(r'name="to" value="([^"]*)"', page)
    assert proposal
    moved = await send(
        screen, f"/staff/visits/{visit['id']}/move", **forms(page, f"{visit['id']}/move"), to=proposal[1]
    )
    assert moved.status_code == 303
    away = made.headers["location"]
    assert "No visit is in the way" in words((await screen.open(away)).text)
    opened = await press(screen, away, "/remove")
    assert opened.status_code == 303
    assert await pool.fetchval("select count(*) from time_off") == 0
    again = await screen.open(away)
    assert again.status_code == 200
    assert "That is not on file any more." in words(again.text)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"who": ""}, "Choose a therapist"),
        ({"from_day": "soon"}, "Enter a date, like 12/08/2026"),
        ({"to_time": "12:00"}, "The end must be after the beginning"),
        ({"to_day": "2027-03-08"}, "The end must be after the beginning"),
        ({"to_day": "2029-03-08"}, "Block at most 366 days at once"),
        ({"from_day": "2027-03-01", "to_day": "2027-03-01", "to_time": "16:00"}, "This time is past"),
        ({"from_day": "2027-03-14", "to_day": "2027-03-15", "from_time": "02:30"}, "Enter a time that exists"),
    ],
)
async def test_a_block_that_cannot_be_is_refused_by_its_field(
    screen: Screen, changes: dict[str, str], sentence: str
) -> None:
    block = {
        "who": "rivera",
        "from_day": str(DAY),
        "from_time": "13:00",
        "to_day": str(DAY),
        "to_time": "16:00",
    } | changes
    answer = await press(screen, f"{BOARD}?block=rivera", "/time-off", **block)
    assert answer.status_code == 422
    assert sentence in words(answer.text)


async def test_a_note_is_shown_on_its_card_and_in_no_title(screen: Screen, desk: httpx.AsyncClient) -> None:
    visit = await book(desk, "11:00")
    at = f"{BOARD}?sel={visit['id']}&do=note"
    assert "no medical details" in words((await screen.open(at)).text)
    answer = await press(screen, at, "/note", note="Parks at the back")
    page = words((await screen.follow(answer)).text)
    assert "note: Parks at the back" in page
    assert "A.M. Change note" in page.replace(" . ", ". ") or "Change note" in page
    long = await press(screen, at, "/note", note="x" * 201)
    assert long.status_code == 422
    assert 'value="' + "x" * 201 in long.text


async def test_hidden_names_leave_initials_alone(screen: Screen, desk: httpx.AsyncClient) -> None:
    visit = await book(desk, "11:00")
    hidden = await press(screen, BOARD, "/preferences", hide_names="yes")
    assert hidden.status_code == 303
    for query in ("", f"?sel={visit['id']}", f"?move={visit['id']}", f"?sel={visit['id']}&do=cancel"):
        page = (await screen.open(BOARD + query)).text
        assert "A.Q." in page
        assert not re.search(f"Ash|Quillfeather|{NUMBER}", page), query


async def test_a_therapist_sees_the_day_and_checks_in_but_books_and_moves_nobody(
    app: Litestar,
    pool: Pool,
    clinic: Clinic,
    settings: Settings,
    desk: httpx.AsyncClient,
    morning: None,  # noqa: ARG001
) -> None:
    visit = await book(desk, "10:00")
    async with signed_in(app, pool, clinic, settings, role="therapist") as screen:
        page = (await screen.open(f"{BOARD}?sel={visit['id']}")).text
        assert "/arrive" in page
        for missing in ("New visit", "?move=", "do=cancel", 'href="/staff/day/2027-03-09?new'):
            assert missing not in page, missing
        fields = forms(page, "/arrive")
        for action in ("move", "cancel", "confirm", "no_show"):
            assert (await send(screen, f"/staff/visits/{visit['id']}/{action}", **fields)).status_code == 403
        assert (await send(screen, "/staff/visits", **fields)).status_code == 403
        assert (await send(screen, "/staff/time-off", **fields)).status_code == 403
        assert (await send(screen, f"/staff/visits/{visit['id']}/arrive", **fields)).status_code == 303


@pytest.mark.parametrize(
    "address",
    [
        "/staff/day/2027-02-30",
        "/staff/day/soon",
        "/staff/day/9999-01-01",
        "/staff/week/nobody/2027-03-09",
        "/staff/week/rivera/x",
    ],
)
async def test_a_date_that_is_none_is_not_found(screen: Screen, address: str) -> None:
    assert (await screen.open(address)).status_code == 404


NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    "query",
    [
        "sel=x", f"sel={NOBODY}", f"move={NOBODY}", "new=1&at=%00", "new=1&patient=x", f"new=1&patient={NOBODY}",
        "new=1&at=2027-03-09T10:00", "find=1&kind=x&after=99:99&from=2027-99-99", "block=nobody&at=x", "away=1",
        f"away={NOBODY}&who=rivera", "did=<script>", "unknown=1", "sel=" + "9" * 500,
    ],
)  # fmt: skip
async def test_an_address_that_makes_no_sense_shows_the_board(screen: Screen, query: str) -> None:
    page = await screen.open(f"{BOARD}?{query}")
    assert page.status_code == 200
    assert 'id="schedule"' in page.text
    assert "<script>" not in page.text


async def test_whoever_asks_again_for_what_answered_a_form_sees_the_board(
    screen: Screen, desk: httpx.AsyncClient
) -> None:
    visit = await book(desk, "11:00")
    for address in (f"/staff/visits/{visit['id']}/cancel", f"/staff/visits/{visit['id']}/arrive"):
        assert (await screen.open(address)).headers["location"] == f"{BOARD}?sel={visit['id']}"
    for address in ("/staff/visits", "/staff/time-off", "/staff/patients/find", "/staff/day"):
        assert (await screen.open(address)).headers["location"] == BOARD


async def test_the_find_panel_lists_the_next_times_and_leads_to_booking_one(screen: Screen) -> None:
    page = (await screen.open(f"{BOARD}?find=1&kind=eval&after=16:00")).text
    assert "Tue, Mar 9, 4:00 PM" in words(page)
    assert page.count(">Book<") == 3
    more = re.search(r'href="([^"]*find=more[^"]*)"', page)
    assert more
    assert (await screen.open(html.unescape(more[1]))).text.count(">Book<") == 12
    none = words((await screen.open(f"{BOARD}?find=1&kind=eval&after=22:00")).text)
    assert "Nothing fits in the next two months." in none


async def test_a_full_day_is_quick_and_small(screen: Screen, pool: Pool, clinic: Clinic, record_property: Any) -> None:
    """The budgets: 40 visits in 50 kB and 100 ms, 200 in 100 kB."""

    def full(number: int, called: str) -> list[Wanted]:
        return [
            Wanted(
                therapist=list(clinic.therapists)[index % 4],
                start=f"{7 + index // 4 * 45 % 720 // 60:02}:{index // 4 * 45 % 60:02}",
                kind="follow-up",
                given_name=f"{called}{index}",
                family_name="Surname",
                status="completed",
                told="sms:delivered",
            )
            for index in range(number)
        ]

    # The larger day is the one that has most beside it: today, with texts that failed.
    await add_day(pool, clinic, DAY + timedelta(days=1), full(40, "Given"))
    await add_day(pool, clinic, DAY, full(200, "Other"))
    await pool.execute("update messages set state = 'undelivered' where id in (select id from messages limit 20)")
    sizes: dict[int, tuple[float, int]] = {}
    for day, number in ((DAY + timedelta(days=1), 40), (DAY, 200)):
        page, best = await screen.open(f"/staff/day/{day}"), 10.0
        for _ in range(5):
            begins = time.perf_counter()
            page = await screen.open(f"/staff/day/{day}")
            best = min(best, time.perf_counter() - begins)
        assert page.text.count('id="v-') == number
        sizes[number] = best, len(page.content)
    record_property("board", sizes)
    assert sizes[40][0] < 0.1
    assert sizes[40][1] < 50_000
    assert sizes[200][1] < 100_000


async def test_a_new_visit_says_when_and_with_whom_in_its_own_letters(screen: Screen) -> None:
    page = (await screen.open(f"{BOARD}?new=1&who=rivera&at=2027-03-09T12:45:00-05:00")).text.replace("\u00a0", " ")
    assert re.search(r"<p>(?:Today|Tue, Mar 9) at 12:45 PM with Dr. A. Rivera</p>", page)
