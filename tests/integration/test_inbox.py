"""What waits for a person at the desk, as the desk's page lists it: each thing once, and seen to by one of them."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.services.desk_tasks import open_task
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, JO, act, book, messages_of
from tests.integration.staffing import Screen, at_the_desk, hidden_fields, signed_in
from tests.integration.texting import Line

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TUESDAY = "2026-12-08T10:00:00-05:00"
WEDNESDAY = "2026-12-09T10:00:00-05:00"
STRANGER = "+12015550177"
INBOX = "/staff/messages"

BY_TEXT = ASH | {"email": None}
KIM = ASH | {"given_name": "Kim", "family_name": "Abara", "phone": "201 555 0144", "email": None, "language": "es"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moving:
        yield moving


@pytest.fixture
async def screen(app: Litestar, line: Line, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with signed_in(app, line.pool, clinic, settings, name="Ana Morales") as screen:
        yield screen


async def failed(
    desk: httpx.AsyncClient, line: Line, code: str, patient: dict[str, Any] = KIM, starts_at: str = TUESDAY
) -> dict[str, Any]:
    """Return the confirmation by text of a visit, of which Twilio has reported that it did not arrive."""
    visit = (await book(desk, "follow-up", starts_at, patient=patient)).json()
    await line.send()
    text = next(one for one in await messages_of(desk, visit) if (one["kind"], one["channel"]) == ("booked", "sms"))
    sid = line.twilio.accepted[-1].sid
    assert await line.twilio.report(line.url, text["id"], sid, "undelivered", ErrorCode=code) == 204
    return text | {"patient_id": visit["patient"]["id"], "visit": visit}


def things(page: httpx.Response) -> list[str]:
    """Return the words of each thing on the list, first to last."""
    assert page.status_code in (200, 409), page.text
    found = re.findall(r'<li id="i.*?</li>\s*(?=<li id="i|</ol>\s)', page.text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", one).split()).replace("\u00a0", " ") for one in found]


async def audited(pool: Pool, action: str) -> list[dict[str, Any]]:
    rows = await pool.fetch("select actor, patient_id, details from audit_events where action = $1", action)
    return [dict(row) for row in rows]


async def test_a_desk_to_which_nothing_happened_has_nothing_to_do(screen: Screen) -> None:
    page = await screen.open(INBOX)
    assert "Nothing needs you." in page.text
    assert things(page) == []


async def test_a_failure_and_the_task_about_it_are_one_thing_with_plain_words_and_a_code(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    await failed(desk, line, "30007")
    assert len((await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]) == 1
    (thing,) = things(await screen.open(INBOX))
    assert thing.startswith("Text failed Today 10:00 AM Kim A. Tue, Dec 8, 10:00 AM ,")
    assert "The phone company took the text for an unwanted one. Booking by text. Code 30007." in thing
    assert "Speaks Spanish." in thing


async def test_whoever_comes_soonest_is_first(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    await failed(desk, line, "30007", starts_at=WEDNESDAY)
    await failed(desk, line, "30007", BY_TEXT)
    await line.text(STRANGER, "Is this the clinic near the station?")
    soonest, later, stranger = things(await screen.open(INBOX))
    assert "Ash S. Tue, Dec 8" in soonest
    assert "Kim A. Wed, Dec 9" in later
    assert "Number ending 0177 Is this the clinic near the station?" in stranger
    assert things(await screen.open(f"{INBOX}?only=reply")) == [stranger]
    assert len(things(await screen.open(f"{INBOX}?only=failure"))) == 2


async def test_a_failure_that_was_called_about_leaves_the_list_its_task_with_it_and_a_trace(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    text = await failed(desk, line, "30007")
    answer = await screen.send(INBOX, f"{INBOX}/failure/{text['id']}/off", how="called")
    page = await screen.follow(answer)
    assert 'role="status"' in page.text
    assert "Marked as called." in page.text
    assert things(page) == []
    [row] = await audited(line.pool, "message.handled")
    assert row["actor"].startswith("staff:")
    assert (row["details"]["how"], row["details"]["message"]) == ("called", text["id"])
    assert await line.rows("select 1 from desk_tasks where handled_at is null") == []


async def test_the_api_and_the_page_see_one_thing(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    text = await failed(desk, line, "30007")
    assert (await desk.post(f"/api/v1/messages/{text['id']}/handled")).status_code == 200
    assert things(await screen.open(INBOX)) == []
    assert (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"] == []
    await failed(desk, line, "30007", BY_TEXT, WEDNESDAY)
    (task,) = (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]
    assert (await desk.post(f"/api/v1/tasks/{task['id']}/handled")).status_code == 200
    assert (await desk.get("/api/v1/messages", params={"needs_attention": "true"})).json()["items"] == []
    assert things(await screen.open(INBOX)) == []


async def test_a_slip_of_the_hand_is_taken_back_by_whoever_made_it(
    screen: Screen, line: Line, desk: httpx.AsyncClient, app: Litestar, clinic: Clinic, settings: Settings
) -> None:
    text = await failed(desk, line, "30007", BY_TEXT)
    await line.text("+12015550142", "R")
    await line.text("+12015550142", "Where do I park?")
    before = things(await screen.open(INBOX))
    page = await screen.open(INBOX)
    forms = list(dict.fromkeys(re.findall(r'action="(/staff/messages/\w+/[^"]+/off)"', page.text)))
    assert len(forms) == len(before) == 3
    async with signed_in(app, line.pool, clinic, settings, username="bo", name="Bo Quist") as other:
        for off in forms:
            page = await screen.follow(await screen.send(INBOX, off, how="done"))
            assert len(things(page)) == 2
            [undo] = re.findall(r'action="([^"]+/back)"', page.text)
            assert undo == off.replace("/off", "/back")
            assert (await other.send(INBOX, undo)).status_code == 409
            page = await screen.follow(await screen.send(INBOX, undo))
            assert "Back on the list." in page.text
            assert things(page) == before
            assert (await screen.send(INBOX, undo)).status_code == 409
    assert len((await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]) == 2
    [row] = await audited(line.pool, "message.put_back")
    assert (row["actor"][:6], row["details"]) == ("staff:", {"message": text["id"]})


async def test_what_was_done_a_while_ago_stays_done(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    text = await failed(desk, line, "30007")
    off = f"{INBOX}/failure/{text['id']}/off"
    page = await screen.follow(await screen.send(INBOX, off, how="called"))
    # The database's clock is days ahead of this test's.
    await line.pool.execute(
        "update messages set handled_at = $1 where handled_at is not null", NOW - timedelta(minutes=11)
    )
    answer = await screen.client.post(
        off.replace("/off", "/back"), data=hidden_fields(page.text), headers={"Accept": "text/html"}
    )
    assert answer.status_code == 409
    assert "It cannot be put back any more. Nothing was changed." in answer.text
    assert await line.rows("select 1 from desk_tasks where handled_at is null") == []


async def test_of_two_desks_the_second_is_told_who_was_first(
    screen: Screen, line: Line, desk: httpx.AsyncClient, app: Litestar, clinic: Clinic, settings: Settings
) -> None:
    text = await failed(desk, line, "30007")
    off = f"{INBOX}/failure/{text['id']}/off"
    async with signed_in(app, line.pool, clinic, settings, username="bo", name="Bo Quist") as other:
        both = [hidden_fields((await each.open(INBOX)).text) for each in (screen, other)]
        first = await screen.client.post(off, data={**both[0], "how": "called"}, headers={"Accept": "text/html"})
        second = await other.client.post(off, data={**both[1], "how": "dropped"}, headers={"Accept": "text/html"})
    assert (first.status_code, second.status_code) == (303, 409)
    assert "Seen to by A.M. already" in second.text
    assert "Nothing was changed." in second.text
    assert len(await audited(line.pool, "message.handled")) == 1


async def test_a_text_that_arrived_after_all_needs_nobody(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    text = await failed(desk, line, "30007")
    form = hidden_fields((await screen.open(INBOX)).text)
    await line.twilio.report(line.url, text["id"], line.twilio.accepted[-1].sid, "delivered")
    for step, fields in (("off", {"how": "called"}), ("resend", {})):
        path = f"{INBOX}/failure/{text['id']}/off" if step == "off" else f"{INBOX}/{text['id']}/resend"
        answer = await screen.client.post(path, data={**form, **fields}, headers={"Accept": "text/html"})
        assert answer.status_code == 409
        assert "The message is delivered. Nothing was changed." in answer.text
    assert things(await screen.open(INBOX)) == []


async def test_sending_again_takes_it_off_the_list(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    text = await failed(desk, line, "30004")
    page = await screen.follow(await screen.send(INBOX, f"{INBOX}/{text['id']}/resend"))
    assert "It goes once more" in page.text
    assert things(page) == []
    (again,) = await line.rows("select state from messages where resend_of = $1", UUID(text["id"]))
    assert again["state"] == "pending"


async def test_a_dead_number_is_mended_where_the_patient_agrees_and_the_text_goes_there(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    text = await failed(desk, line, "30006")
    fix = f"{INBOX}/{text['id']}/fix"
    assert f'href="{fix}">Fix number' in (await screen.open(INBOX)).text
    assert "(201) 555-0144" in (await screen.open(fix)).text
    page = await screen.follow(await screen.send(fix, fix, phone="201 555 0155", agreed="yes"))
    assert "Saved. The message goes there" in page.text
    assert things(page) == []
    await line.pool.execute("update messages set sent_at = sent_at - interval '1 day'")
    await line.send()
    assert "you are booked" in line.heard("+12015550155")[-1] or "su cita" in line.heard("+12015550155")[-1]
    (consent,) = await line.rows("select granted, method, actor from consents where address = '+12015550155'")
    assert (consent["granted"], consent["method"]) == (True, "phone")
    assert {row["actor"] for row in await audited(line.pool, "patient.changed")} == {consent["actor"]}
    assert len(await audited(line.pool, "message.resent")) == 1


async def test_without_their_agreement_the_number_is_saved_and_no_text_goes(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    text = await failed(desk, line, "30006")
    fix = f"{INBOX}/{text['id']}/fix"
    page = await screen.send(fix, fix, phone="201 555 0155")
    assert "They have not agreed to texts at this number." in page.text
    (thing,) = things(page)
    assert "Fix" not in thing.split("More")[0]
    assert await line.rows("select phone from patients") == [{"phone": "+12015550155"}]
    assert await line.rows("select 1 from messages where resend_of is not null") == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Enter a 10-digit US number, like 201 555 0142."),
        ("12", "Enter a 10-digit US number, like 201 555 0142."),
        ("(201) 555-0144", "This is the address that did not work."),
        ("201 555 0143", "Another patient of this name has that number already."),
    ],
)
async def test_an_address_that_is_no_good_is_refused_and_nothing_typed_is_lost(
    screen: Screen, line: Line, desk: httpx.AsyncClient, typed: str, words: str
) -> None:
    twin = JO | {"given_name": KIM["given_name"], "family_name": KIM["family_name"]}
    await book(desk, "follow-up", WEDNESDAY, patient=twin)
    text = await failed(desk, line, "30006")
    fix = f"{INBOX}/{text['id']}/fix"
    page = await screen.send(fix, fix, phone=typed, agreed="yes")
    assert page.status_code == 422
    assert "<title>Error: Fix number" in page.text
    assert page.text.count(words) == 2
    assert f'value="{typed}"' in page.text
    assert "checked" in page.text
    assert len(things(await screen.open(INBOX))) == 1
    assert await audited(line.pool, "patient.changed") == []


async def test_an_email_that_bounced_is_mended_too(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=ASH)).json()
    email = next(one for one in await messages_of(desk, visit) if one["channel"] == "email" and one["kind"] == "booked")
    await line.pool.execute(
        "update messages set state = 'failed', attempts = 1, finished_at = now(), reason = 'No.' where id = $1",
        UUID(email["id"]),
    )
    await line.pool.execute("insert into unreachable_addresses select clinic_id, 'email', email, 'No.' from patients")
    fix = f"{INBOX}/{email['id']}/fix"
    assert "Fix email" in (await screen.open(INBOX)).text
    refused = await screen.send(fix, fix, email="ash.example.com")
    assert "Enter an email address, like name@example.com." in refused.text
    await screen.follow(await screen.send(fix, fix, email="ash@sample.example"))
    (again,) = await line.rows("select address from messages where resend_of = $1", UUID(email["id"]))
    assert again["address"] == "ash@sample.example"


async def test_a_reply_that_nobody_understood_has_the_visits_to_come_beside_it(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    visits = [(await book(desk, "follow-up", at, patient=ASH)).json() for at in (TUESDAY, WEDNESDAY)]
    await act(desk, visits[1], "confirm")
    await line.text("+12015550142", "Running late, sorry")
    page = await screen.open(INBOX)
    (thing,) = things(page)
    assert "Reply Today 10:00 AM Ash S. Tue, Dec 8, 10:00 AM" in thing
    assert "Wed, Dec 9, 10:00 AM , Dr. A. Rivera (confirmed)" in thing or "(confirmed)" in thing
    assert "Running late, sorry" in thing
    assert f'href="/staff/day/2026-12-08?sel={visits[0]["id"]}"' in page.text
    (reply,) = await line.rows("select id from inbound_messages where needs_attention")
    page = await screen.follow(await screen.send(INBOX, f"{INBOX}/reply/{reply['id']}/off", how="done"))
    assert things(page) == []
    [row] = await audited(line.pool, "inbound.handled")
    assert (row["actor"][:6], row["details"]["how"]) == ("staff:", "done")


async def test_a_phone_that_several_share_shows_whose_it_may_be(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    await book(desk, "follow-up", TUESDAY, patient=ASH)
    await book(desk, "follow-up", WEDNESDAY, patient=ASH | {"given_name": "Kit"})
    await line.text("+12015550142", "Who is first?")
    (thing,) = things(await screen.open(INBOX))
    assert "Ash S. or Kit S. Ash S.: Tue, Dec 8" in thing
    assert "Kit S.: Wed, Dec 9" in thing


async def test_what_patients_asked_for_leads_to_where_it_is_done(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.text("+12015550142", "R")
    page = await screen.open(INBOX)
    assert f'href="/staff/day/2026-12-08?move={visit["id"]}">Find a new time' in page.text
    (task,) = await line.rows("select id from desk_tasks where kind = 'wants-to-move'")
    await screen.follow(await screen.send(INBOX, f"{INBOX}/task/{task['id']}/off", how="done"))
    [row] = await audited(line.pool, "task.handled")
    assert row["details"] == {"task": str(task["id"]), "kind": "wants-to-move", "how": "done"}


async def test_every_kind_of_task_is_shown_and_one_of_a_newer_release_too(
    screen: Screen, line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=ASH)).json()
    kinds = ["may-want-to-cancel", "which-visit", "channel-paused", "same-day-twice", "from-next-year"]
    async with line.pool.acquire() as connection:
        for kind in kinds:
            about = None if kind == "channel-paused" else visit
            await open_task(
                connection,
                clinic.id,
                kind=kind,  # pyright: ignore[reportArgumentType] - one of them is not of this release
                subject_id=UUID(visit["id"]),
                visit_id=about and UUID(about["id"]),
                patient_id=about and UUID(about["patient"]["id"]),
                reason="Why.",
            )
    found = things(await screen.open(INBOX))
    headings = ["From next year", "Two visits in one day", "Said yes, to which visit?", "May want to cancel"]
    assert [thing[: len(words)] for thing, words in zip(found, headings, strict=False)] == headings
    assert "The clinic Why. See health Done" in found[-1]


async def test_a_number_in_full_is_shown_for_the_call_alone_and_its_reading_is_noted(
    screen: Screen, line: Line, desk: httpx.AsyncClient
) -> None:
    text = await failed(desk, line, "30007")
    assert "5550144" not in re.sub(r"\D", "", (await screen.open(INBOX)).text)
    assert await audited(line.pool, "patient.phone_read") == []
    page = await screen.open(f"{INBOX}?call={text['id']}")
    assert '<a href="tel:+12015550144">' in page.text
    assert "(201) 555-0144" in page.text
    assert "Kim Abara, speaks Spanish" in page.text
    [row] = await audited(line.pool, "patient.phone_read")
    assert (str(row["patient_id"]), row["details"]) == (text["patient_id"], {"item": text["id"]})
    [listed] = (await audited(line.pool, "inbox.listed"))[:1]
    assert listed["details"]["patients"] == [text["patient_id"]]


async def test_a_stranger_can_be_called_back(screen: Screen, line: Line) -> None:
    await line.text(STRANGER, "Hello?")
    (reply,) = await line.rows("select id from inbound_messages")
    page = await screen.open(f"{INBOX}?call={reply['id']}")
    assert "(201) 555-0177" in page.text
    assert "Nobody on file" in page.text


async def test_a_call_about_what_is_off_the_list_says_so(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    text = await failed(desk, line, "30007")
    await desk.post(f"/api/v1/messages/{text['id']}/handled")
    for page in (await screen.open(f"{INBOX}?call={text['id']}"), await screen.open(f"{INBOX}/{text['id']}/fix")):
        assert "somebody has seen to it" in page.text.lower()
        assert "5550144" not in re.sub(r"\D", "", page.text)


async def test_where_names_are_hidden_they_are_initials(screen: Screen, line: Line, desk: httpx.AsyncClient) -> None:
    text = await failed(desk, line, "30007")
    await screen.send(INBOX, "/staff/preferences", hide_names="yes")
    for address in (INBOX, f"{INBOX}?call={text['id']}", f"{INBOX}/{text['id']}/fix", "/staff/ops"):
        page = (await screen.open(address)).text
        assert "K.A." in page
        assert "Kim" not in page
        assert "Abara" not in page


async def test_therapists_read_and_change_nothing(
    line: Line, desk: httpx.AsyncClient, app: Litestar, clinic: Clinic, settings: Settings
) -> None:
    text = await failed(desk, line, "30006")
    async with signed_in(app, line.pool, clinic, settings, "therapist", name="Rae Rivera") as screen:
        page = await screen.open(f"{INBOX}?call={text['id']}")
        (thing,) = things(page)
        assert "Kim A." in thing
        assert 'action="/staff/messages' not in page.text
        assert "5550144" not in re.sub(r"\D", "", page.text)
        form = hidden_fields(page.text)
        for path in (f"failure/{text['id']}/off", f"{text['id']}/resend", f"{text['id']}/fix"):
            answer = await screen.client.post(
                f"{INBOX}/{path}", data={**form, "how": "called", "phone": "201 555 0155"},
                headers={"Accept": "text/html"},
            )  # fmt: skip
            assert answer.status_code == 403
        assert (await screen.open(f"{INBOX}/{text['id']}/fix")).status_code == 403
    assert await audited(line.pool, "message.handled") == []


async def test_it_is_for_the_staff_alone_and_a_form_of_another_page_does_nothing(
    line: Line, desk: httpx.AsyncClient, app: Litestar, screen: Screen
) -> None:
    text = await failed(desk, line, "30007")
    off = f"{INBOX}/failure/{text['id']}/off"
    async with at_the_desk(app) as nobody:
        assert (await nobody.open(INBOX)).headers["location"] == "/staff/sign-in?next=%2Fstaff%2Fmessages"
        assert (await nobody.client.post(off, data={"how": "called"})).status_code == 303
    assert (await desk.get(INBOX)).status_code == 404
    forged = await screen.client.post(off, data={"how": "called", "csrf": "0" * 64}, headers={"Accept": "text/html"})
    assert forged.status_code == 403
    for fields in ({"how": "burned"}, {}):
        assert (await screen.send(INBOX, off, **fields)).status_code == 404
    assert (await screen.send(INBOX, off.replace("failure", "wish"), how="called")).status_code == 404
    assert len(things(await screen.open(INBOX))) == 1


async def test_news_are_what_came_since_the_page_was_made(
    screen: Screen, line: Line, clock: time_machine.Traveller
) -> None:
    page = await screen.open(INBOX)
    address = re.search(r'hx-get="(/staff/messages/news[^"]*)"', page.text)
    assert address is not None
    assert "Show" not in (await screen.open(address[1])).text
    clock.move_to(NOW + timedelta(minutes=5))
    await line.text(STRANGER, "Hello?")
    assert "1 new. Show it" in (await screen.open(address[1])).text
    assert (await screen.open("/staff/messages/news?since=yesterday")).status_code == 200
