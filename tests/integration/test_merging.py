"""Two records of one patient become one: nothing is lost, nobody is in two places, and the old id leads to the new."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from litestar import Litestar

from scheduler.domain.actors import SYSTEM, Actor, Browser
from scheduler.domain.clinics import Clinic
from scheduler.domain.own_visits import BY_LINK
from scheduler.services.merging import merge
from scheduler.services.patients import Agreement, PatientChange, record_consent
from scheduler.services.unsubscribes import find_wish, turn_reminders
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.merging import MOVED
from tests.integration.requests import ASH, book, local
from tests.integration.staffing import Screen, signed_in

PATIENTS = "/staff/patients"
NOW = local("2027-03-01T12:00:00-05:00")

# The same person, with a slip of the pen and another phone, who agreed to texts there.
ASHLEY = {**ASH, "given_name": "Ashley", "phone": "201 555 0199", "email": "ashley@example.com"}


class Records:
    """The two records, with visits of each."""

    def __init__(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        self.first, self.second = first, second
        self.kept, self.gone = UUID(first["patient"]["id"]), UUID(second["patient"]["id"])


@pytest.fixture
async def records(desk: httpx.AsyncClient) -> Records:
    first = await book(desk, "follow-up", "2027-03-09T10:00:00-05:00", patient=ASH)
    second = await book(desk, "follow-up", "2027-03-10T10:00:00-05:00", patient=ASHLEY)
    return Records(first.json(), second.json())


@pytest.fixture
async def screen(app: Litestar, pool: Pool, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with signed_in(app, pool, clinic, settings, "desk", name="Ana Morales") as screen:
        yield screen


async def merged(pool: Pool, clinic: Clinic, records: Records, **details: Any) -> Any:
    async with pool.acquire() as connection, connection.transaction():
        return await merge(
            connection, clinic, records.kept, records.gone, PatientChange(**details), actor=SYSTEM, now=NOW
        )


async def owners(pool: Pool, table: str, column: str = "patient_id") -> set[UUID]:
    return {row[0] for row in await pool.fetch(f"select distinct {column} from {table} where {column} is not null")}


async def test_a_test_knows_every_table_that_speaks_of_a_patient(pool: Pool) -> None:
    tables = await pool.fetch(
        "select table_name from information_schema.columns where table_schema = 'public' and column_name = 'patient_id'"
    )
    # Consents and traces are append-only: copied, and found by both ids.
    assert {row["table_name"] for row in tables} == {*MOVED, "consents", "audit_events"}


async def test_everything_of_both_is_the_one_patients(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    await pool.execute(
        """insert into inbound_messages
            (clinic_id, id, provider_id, sender, recipient, body, patient_id, needs_attention)
        values ($1, gen_random_uuid(), 'SM1', '+12015550199', '+12015550100', 'hello?', $2, true)""",
        clinic.id, records.gone,
    )  # fmt: skip
    await pool.execute(
        """insert into desk_tasks (clinic_id, id, kind, subject_id, patient_id, reason)
        values ($1, gen_random_uuid(), 'wants-to-move', gen_random_uuid(), $2, 'x')""",
        clinic.id, records.gone,
    )  # fmt: skip
    before = await pool.fetchval("select count(*) from messages where state = 'pending'")
    patient = await merged(pool, clinic, records)
    assert patient.id == records.kept
    for table in MOVED:
        assert await owners(pool, table) == {records.kept}, table
    therapists = {therapist.id for therapist in clinic.therapists.values()}
    rooms = {room.id for room in clinic.rooms.values()}
    assert await owners(pool, "occupancy", "resource_id") <= {records.kept} | therapists | rooms
    visits = (await desk.get(f"/api/v1/patients/{records.kept}/visits")).json()["items"]
    assert [visit["id"] for visit in visits] == [records.first["id"], records.second["id"]]
    planned = await pool.fetch("select distinct channel, address from messages where state = 'pending'")
    assert {tuple(row) for row in planned} == {("sms", "+12015550142"), ("email", "ash@example.com")}
    assert await pool.fetchval("select count(*) from messages where state = 'pending'") == before, "nothing goes twice"
    # The visit's own private link and its page are the same as before.
    assert await pool.fetchval("select count(*) from visit_links") == 2


async def test_the_old_id_name_and_phone_lead_to_the_patient(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    await merged(pool, clinic, records)
    assert (await desk.get(f"/api/v1/patients/{records.gone}")).json()["id"] == str(records.kept)
    again = await book(desk, "follow-up", "2027-03-11T10:00:00-05:00", patient=ASHLEY)
    assert again.json()["patient"]["id"] == str(records.kept)
    by_id = await book(desk, "follow-up", "2027-03-12T10:00:00-05:00", patient_id=str(records.gone))
    assert by_id.json()["patient"]["id"] == str(records.kept)
    found = (await desk.get("/api/v1/patients", params={"q": "sample"})).json()["items"]
    assert [one["id"] for one in found] == [str(records.kept)]
    assert (await desk.get("/api/v1/patients", params={"q": "0199"})).json()["items"] == []


async def test_the_last_word_about_an_address_holds_and_every_proof_is_kept(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    refused = Agreement(channel="sms", granted=False, wording_version="2026-11", method=BY_LINK)
    patient = Actor(name="patient", browser=Browser(address="203.0.113.7", user_agent="Example Browser"))
    async with pool.acquire() as connection, connection.transaction():
        await record_consent(connection, clinic, records.gone, refused, actor=patient, now=NOW)
    before = await pool.fetch("select * from consents order by id")
    patient = await merged(pool, clinic, records)
    assert patient.sms_consent is True, "what was said of another number says nothing of this one"
    said = (await desk.get(f"/api/v1/patients/{records.kept}/consents")).json()["items"]
    assert [(one["granted"], one["address"]) for one in said] == [
        (True, "+12015550142"), (True, "+12015550199"), (False, "+12015550199"),
    ]  # fmt: skip
    assert said[-1]["client_address"] == "203.0.113.7"
    assert said[-1]["user_agent"] == "Example Browser"
    after = await pool.fetch("select * from consents where id = any($1) order by id", [row["id"] for row in before])
    assert after == before
    # With the other's number the other's word holds: no texts.
    async with pool.acquire() as connection, connection.transaction():
        patient = await merge(connection, clinic, records.kept, records.gone, PatientChange(), actor=SYSTEM, now=NOW)
    assert patient.id == records.kept


async def test_with_the_others_number_the_others_word_holds(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    await desk.post(
        f"/api/v1/patients/{records.gone}/consents",
        json={"channel": "sms", "granted": False, "wording_version": "2026-11", "method": "phone"},
    )
    patient = await merged(pool, clinic, records, phone="+12015550199")
    assert (patient.phone, patient.sms_consent) == ("+12015550199", False)
    assert await pool.fetchval("select count(*) from messages where channel = 'sms' and state = 'pending'") == 0


async def test_a_patient_may_take_the_name_and_phone_that_were_merged(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    patient = await merged(pool, clinic, records, given_name="Ashley", phone="+12015550199", email="ashley@example.com")
    assert (patient.given_name, patient.phone) == ("Ashley", "+12015550199")
    again = await book(desk, "follow-up", "2027-03-11T10:00:00-05:00", patient=ASHLEY)
    assert again.json()["patient"]["id"] == str(records.kept)


async def test_nobody_is_merged_into_two_places_at_once(
    records: Records, pool: Pool, desk: httpx.AsyncClient, screen: Screen
) -> None:
    clash = (await book(desk, "follow-up", "2027-03-10T10:30:00-05:00", patient_id=str(records.kept))).json()
    assert clash["status"] == "booked"
    page = f"{PATIENTS}/{records.kept}/merge?with={records.gone}"
    told = await screen.send(page, f"{PATIENTS}/{records.kept}/merge")
    assert (told.status_code, "Both have a visit at the same time." in told.text) == (409, True)
    for visit_id in (clash["id"], records.second["id"]):
        assert f"?sel={visit_id}" in told.text
    assert await owners(pool, "visits") == {records.kept, records.gone}
    assert await pool.fetchval("select count(*) from audit_events where action like 'patient.merged%'") == 0
    assert await pool.fetchval("select bool_and(merged_into is null) from patients")


async def test_chains_of_records_lead_to_the_last(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    await merged(pool, clinic, records)
    third = (await book(desk, "follow-up", "2027-03-15T10:00:00-04:00", patient={**ASH, "given_name": "Asher"})).json()
    last = Records(third, {"patient": {"id": str(records.kept)}})
    await merged(pool, clinic, last)
    for old in (records.gone, records.kept):
        assert (await desk.get(f"/api/v1/patients/{old}")).json()["id"] == str(last.kept)
    assert len((await desk.get(f"/api/v1/patients/{last.kept}/visits")).json()["items"]) == 3
    assert (await merged(pool, clinic, records)).id == last.kept, "to merge them again changes nothing"


async def test_who_did_it_and_what_was_moved_is_traced_under_both_ids(
    records: Records, pool: Pool, screen: Screen, desk: httpx.AsyncClient
) -> None:
    page = f"{PATIENTS}/{records.kept}/merge?with={records.gone}"
    done = await screen.send(page, f"{PATIENTS}/{records.kept}/merge", name="other", email="other")
    assert done.headers["location"] == f"{PATIENTS}/{records.kept}?did=merged"
    card = (await screen.follow(done)).text
    assert "Ashley Sample" in card
    assert "ashley@example.com" in card
    assert "(201) 555-0142" in card
    rows = await pool.fetch(
        "select action, actor, patient_id, details from audit_events where action like 'patient.m%'"
    )
    assert [(row["action"], row["patient_id"]) for row in rows] == [
        ("patient.merged", records.kept), ("patient.merged_into", records.gone),
    ]  # fmt: skip
    assert all(row["actor"].startswith("staff:") for row in rows)
    assert rows[0]["details"]["visits"] == [records.second["id"]]
    export = (await desk.get(f"/api/v1/patients/{records.kept}/export")).text
    assert "patient.merged" in export
    led = await screen.open(f"{PATIENTS}/{records.gone}?did=changed")
    assert led.headers["location"] == f"{PATIENTS}/{records.kept}?did=changed"


async def test_the_page_of_the_two_shows_what_differs_and_that_it_was_seen(
    records: Records, screen: Screen, pool: Pool
) -> None:
    card = (await screen.open(f"{PATIENTS}/{records.kept}")).text
    assert "Is this the same person?" not in card, (
        "another name, phone and email are another person until somebody knows"
    )
    page = (await screen.open(f"{PATIENTS}/{records.kept}/merge?with={records.gone}")).text
    for words in ("Ash Sample", "Ashley Sample", "(201) 555-0142", "(201) 555-0199", "1 visit, 1 to come"):
        assert words in page
    (row,) = await pool.fetch("select details from audit_events where action = 'patients.comparison_read'")
    assert row["details"] == {"patients": [str(records.kept), str(records.gone)]}
    await screen.send(PATIENTS, "/staff/preferences", hide_names="yes")
    assert (await screen.open(f"{PATIENTS}/{records.kept}/merge?with={records.gone}")).status_code == 303
    for other in ("", "nobody", "01a22378-2ce8-7260-982a-f680ec960ed1"):
        await screen.send(PATIENTS, "/staff/preferences", hide_names="no")
        assert (await screen.open(f"{PATIENTS}/{records.kept}/merge?with={other}")).status_code == 404


async def test_records_with_one_phone_are_shown_as_perhaps_the_same(screen: Screen, desk: httpx.AsyncClient) -> None:
    first = (await desk.post("/api/v1/patients", json={**ASH, "sms_consent": None} | {"given_name": "Ash"})).json()
    second = (await desk.post("/api/v1/patients", json={**ASH, "sms_consent": None} | {"given_name": "Asch"})).json()
    card = (await screen.open(f"{PATIENTS}/{first['id']}")).text
    assert f'href="{PATIENTS}/{first["id"]}/merge?with={second["id"]}"' in card


async def test_a_booking_that_looked_the_patient_up_before_lands_with_whom_they_are(
    records: Records, pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    """Merge while twenty bookings for the old id are under way: each is the kept patient's, or is refused whole."""
    bookings = [
        book(desk, "follow-up", f"2027-03-{day:02}T{hour:02}:00:00-04:00", patient_id=str(records.gone))
        for day in (16, 17, 18, 19, 22)
        for hour in (9, 10, 14, 15)
    ]

    async def make_one() -> None:
        await asyncio.sleep(0.05)
        await merged(pool, clinic, records)

    answers = (await asyncio.gather(make_one(), *bookings, return_exceptions=True))[1:]
    statuses = {answer.status_code for answer in answers if isinstance(answer, httpx.Response)}
    assert statuses <= {201, 503}, statuses
    done = await pool.fetchval("select bool_or(merged_into is not null) from patients")
    assert await owners(pool, "visits") == ({records.kept} if done else {records.kept, records.gone})
    booked = [answer for answer in answers if isinstance(answer, httpx.Response) and answer.status_code == 201]
    assert await pool.fetchval("select count(*) from visits") == len(booked) + 2


async def test_an_unsubscribe_link_of_the_record_that_is_gone_works_on(
    records: Records, pool: Pool, clinic: Clinic
) -> None:
    await merged(pool, clinic, records)
    async with pool.acquire() as connection, connection.transaction():
        for wanted in (False, True, False):
            await turn_reminders(connection, clinic, records.gone, wanted=wanted, actor=SYSTEM)
            for record in (records.gone, records.kept):
                assert (await find_wish(connection, clinic, record))[1] is wanted


async def test_a_visit_is_never_given_to_a_merged_record(records: Records, pool: Pool, clinic: Clinic) -> None:
    await merged(pool, clinic, records)
    with pytest.raises(asyncpg.SerializationError):
        await pool.execute("update visits set patient_id = $1", records.gone)


async def test_while_somebody_books_for_one_of_them_the_desk_is_asked_to_try_again(
    records: Records, pool: Pool, screen: Screen
) -> None:
    page = f"{PATIENTS}/{records.kept}/merge?with={records.gone}"
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from visits where patient_id = $1 for update", records.gone)
        told = await screen.send(page, f"{PATIENTS}/{records.kept}/merge")
    assert (told.status_code, "Try again." in told.text) == (503, True)
    again = await screen.send(page, f"{PATIENTS}/{records.kept}/merge")
    assert again.status_code == 303
