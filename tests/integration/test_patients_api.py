"""The front desk's patients: kept, changed, and shown whole; whoever looked is always written down."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from scheduler.store.dispatch import claim_messages
from tests.integration.conftest import ROOT, client_of, make_key
from tests.integration.requests import ASH, JO, book, book_held, hold, messages_of

TEN = "2026-12-08T10:00:00-05:00"
NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
AGREED = {"granted": True, "wording_version": "2026-11"}
OTHER_PHONE = "201 555 0177"
OTHER_DIALLED = "+12015550177"

# A row of the audit: what, whose, and with which details.
Traced = tuple[str, str | None, dict[str, Any]]


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
async def elsewhere(app: Litestar, pool: Pool, clinic: Clinic, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with a key for everything at another clinic of the same installation."""
    text = (ROOT / "config" / "clinic.toml").read_text(encoding="utf-8")
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    (tmp_path / "b.toml").write_text(text.replace('"fair-lawn"', '"wayne"'), encoding="utf-8")
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(tmp_path))
        clinics = await load_clinics(connection)
    app.state.directory.replace(clinics)
    other = next(one for one in clinics if one.id != clinic.id)
    async with client_of(app, Authorization=f"Bearer {await make_key(pool, other, 'admin')}") as client:
        yield client


async def add(client: httpx.AsyncClient, patient: dict[str, Any] = ASH, status: int = 201) -> dict[str, Any]:
    response = await client.post("/api/v1/patients", json=patient)
    assert response.status_code == status, response.text
    return response.json()


async def change(client: httpx.AsyncClient, patient: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = await client.patch(f"/api/v1/patients/{patient['id']}", json=fields)
    assert response.status_code == 200, response.text
    return response.json()


async def say(client: httpx.AsyncClient, patient: dict[str, Any], channel: str, granted: bool) -> dict[str, Any]:
    body = {"channel": channel, "granted": granted, "wording_version": "2026-11", "method": "phone"}
    response = await client.post(f"/api/v1/patients/{patient['id']}/consents", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def planned(pool: Pool, channel: str) -> set[tuple[str, str, str]]:
    """Return what is in the outbox for a channel: state, address and language."""
    rows = await pool.fetch("select state, address, language from messages where channel = $1", channel)
    return {(row["state"], row["address"], row["language"]) for row in rows}


async def sent_by(pool: Pool, moment: datetime) -> list[tuple[str, str]]:
    """Return what would leave by a moment, as (channel, address), and leave the outbox as it was."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        leaving: list[tuple[str, str]] = []
        taken = 1
        while taken:
            claimed, taken = await claim_messages(connection, limit=50, lease_seconds=60, now=moment)
            leaving += [(message.channel, message.address) for message in claimed]
            await connection.execute("update messages set state = 'sent', lease_token = null where state = 'sending'")
        await transaction.rollback()
    return leaving


async def trace(pool: Pool, *actions: str) -> list[Traced]:
    rows = await pool.fetch(
        "select action, patient_id, details from audit_events where action = any($1::text[]) order by at, id",
        list(actions),
    )
    return [(row["action"], row["patient_id"] and str(row["patient_id"]), row["details"]) for row in rows]


async def test_a_new_patient_is_kept_as_described(desk: httpx.AsyncClient, pool: Pool) -> None:
    body = ASH | {"birth_date": "1990-02-03", "language": "es"}
    response = await desk.post("/api/v1/patients", json=body)
    patient = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"/api/v1/patients/{patient['id']}")
    assert patient == {
        "id": patient["id"],
        "given_name": "Ash",
        "family_name": "Sample",
        "phone": "+12015550142",
        "email": "ash@example.com",
        "birth_date": "1990-02-03",
        "language": "es",
        "sms_consent": True,
        "email_consent": None,
        "created": True,
    }
    shown = (await desk.get(f"/api/v1/patients/{patient['id']}")).json()
    assert shown | {"created": True} == patient
    assert [action for action, *_ in await trace(pool, "patient.created", "patient.consented")] == [
        "patient.created",
        "patient.consented",
    ]


async def test_whoever_is_on_file_by_phone_and_name_is_found_instead_of_made_twice(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    first = await add(desk)
    again = await add(desk, {"given_name": "ASH", "family_name": " sample", "phone": "(201) 555-0142"}, status=200)
    assert (again["id"], again["created"], again["email"]) == (first["id"], False, "ash@example.com")
    other = await add(desk, ASH | {"given_name": "Robin"})
    assert other["id"] != first["id"]
    assert await pool.fetchval("select count(*) from patients") == 2
    assert await trace(pool, "patient.read") == [("patient.read", first["id"], {})]


async def test_what_the_desk_says_about_somebody_on_file_replaces_what_was_known(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    await book(desk, "eval-run", TEN)
    found = await add(desk, ASH | {"email": "new@example.com", "language": "es"}, status=200)
    assert (found["email"], found["language"]) == ("new@example.com", "es")
    assert await planned(pool, "email") == {("pending", "new@example.com", "es")}
    assert [details for _, _, details in await trace(pool, "patient.changed")] == [{"fields": ["email", "language"]}]


async def test_the_same_request_twice_is_one_patient_and_one_answer(desk: httpx.AsyncClient, pool: Pool) -> None:
    headers = {"Idempotency-Key": "one-patient"}
    first = await desk.post("/api/v1/patients", json=ASH, headers=headers)
    again = await desk.post("/api/v1/patients", json=ASH, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert await pool.fetchval("select count(*) from consents") == 1


async def test_a_stranger_who_knows_a_name_and_a_number_changes_nothing_and_is_booked(
    public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = await add(desk, {**JO})
    before = await pool.fetchrow("select * from patients")
    held = await hold(public, "follow-up", TEN)
    stranger = JO | {"email": "mallory@example.com", "birth_date": "1999-09-09", "language": "es"}
    booked = await book_held(public, held, stranger)
    assert (booked.status_code, booked.json()["patient"]["id"]) == (201, patient["id"])
    assert await pool.fetchrow("select * from patients") == before
    assert await pool.fetchval("select count(*) from messages") == 0


async def test_a_patient_who_books_for_the_first_time_keeps_the_email_given(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    assert (await book_held(public, await hold(public, "follow-up", TEN))).status_code == 201
    assert await pool.fetchval("select email from patients") == "ash@example.com"
    assert await planned(pool, "email") == {("pending", "ash@example.com", "en")}


async def test_a_change_touches_what_is_named_and_null_clears(desk: httpx.AsyncClient, pool: Pool) -> None:
    patient = await add(desk, ASH | {"birth_date": "1990-02-03"})
    assert await change(desk, patient) == {key: value for key, value in patient.items() if key != "created"}
    renamed = await change(desk, patient, given_name="Ashley")
    assert (renamed["given_name"], renamed["email"], renamed["birth_date"], renamed["sms_consent"]) == (
        "Ashley",
        "ash@example.com",
        "1990-02-03",
        True,
    )
    cleared = await change(desk, patient, email=None, birth_date=None)
    assert (cleared["email"], cleared["birth_date"], cleared["given_name"]) == (None, None, "Ashley")
    assert [details for _, _, details in await trace(pool, "patient.changed")] == [
        {"fields": ["given_name"]},
        {"fields": ["birth_date", "email"]},
    ]
    response = await desk.get("/api/v1/patients", params={"q": "ashl"})
    assert [one["id"] for one in response.json()["items"]] == [patient["id"]]


async def test_a_change_that_would_make_a_twin_says_who_the_other_is(desk: httpx.AsyncClient) -> None:
    ash, jo = await add(desk), await add(desk, JO)
    response = await desk.patch(
        f"/api/v1/patients/{jo['id']}",
        json={"given_name": "ash", "family_name": "Sample", "phone": ASH["phone"], "birth_date": "1990-01-01"},
    )
    assert response.status_code == 409, response.text
    assert (response.json()["code"], response.json()["patient_id"]) == ("patient-exists", ash["id"])
    assert (await desk.get(f"/api/v1/patients/{jo['id']}")).json()["birth_date"] is None
    assert (await change(desk, ash, given_name="ASH"))["given_name"] == "ASH"


async def test_planned_emails_go_to_the_new_address_and_nowhere_without_one(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = (await book(desk, "eval-run", TEN)).json()["patient"]
    count = await pool.fetchval("select count(*) from messages where channel = 'email'")
    await change(desk, patient, email="new@example.com")
    assert await planned(pool, "email") == {("pending", "new@example.com", "en")}
    await change(desk, patient, email=None)
    assert {state for state, *_ in await planned(pool, "email")} == {"suppressed"}
    assert {channel for channel, _ in await sent_by(pool, datetime.fromisoformat(TEN) - timedelta(hours=23))} == {"sms"}
    await change(desk, patient, email="back@example.com")
    # What was due at once while there was no address is past; the reminders are still to come.
    rows = await pool.fetch("select kind, state from messages where channel = 'email' and address = 'back@example.com'")
    assert {tuple(row) for row in rows} == {("reminder", "pending")}
    assert await pool.fetchval("select count(*) from messages where channel = 'email'") == count


async def test_somebody_who_gives_an_email_later_is_reminded_of_the_visits_they_have(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = (await book(desk, "eval-run", TEN, patient=JO)).json()["patient"]
    assert await pool.fetchval("select count(*) from messages") == 0
    await change(desk, patient, email="jo@example.com")
    rows = await pool.fetch("select kind, state, address from messages")
    assert {tuple(row) for row in rows} == {("reminder", "pending", "jo@example.com")}


async def test_consent_stays_with_the_number_it_was_given_for(desk: httpx.AsyncClient, pool: Pool) -> None:
    """After a new number no text leaves until somebody agrees for it; the old number's word comes back with it."""
    patient = (await book(desk, "eval-run", TEN, patient=ASH | {"email": None})).json()["patient"]
    late = datetime.fromisoformat(TEN) - timedelta(hours=23)
    assert {address for _, address in await sent_by(pool, late)} == {"+12015550142"}
    moved = await change(desk, patient, phone=OTHER_PHONE)
    assert (moved["phone"], moved["sms_consent"]) == (OTHER_DIALLED, None)
    assert {state for state, *_ in await planned(pool, "sms")} == {"suppressed"}
    assert await sent_by(pool, late) == []

    consent = await say(desk, patient, "sms", granted=True)
    assert consent["address"] == OTHER_DIALLED
    leaving = await sent_by(pool, late)
    assert {address for _, address in leaving} == {OTHER_DIALLED}

    await say(desk, patient, "sms", granted=False)
    assert await sent_by(pool, late) == []
    assert (await change(desk, patient, phone=ASH["phone"]))["sms_consent"] is True
    assert {address for _, address in await sent_by(pool, late)} == {"+12015550142"}


async def test_texts_go_to_a_new_number_at_once_where_it_was_agreed_to_before(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = await add(desk, ASH | {"email": None})
    await change(desk, patient, phone=OTHER_PHONE)
    await say(desk, patient, "sms", granted=True)
    await book(desk, "eval-run", TEN, patient=None, patient_id=patient["id"])
    await change(desk, patient, phone=ASH["phone"])
    assert await planned(pool, "sms") == {("pending", "+12015550142", "en")}


@pytest.mark.parametrize("agreed", [True, False])
async def test_what_comes_back_unsent_goes_to_where_the_patient_is_by_then(
    desk: httpx.AsyncClient, pool: Pool, agreed: bool
) -> None:
    """While a message is being sent it cannot be changed, but the next try knows the new address and language."""
    patient = await add(desk, ASH | {"phone": OTHER_PHONE, "sms_consent": AGREED if agreed else None})
    await say(desk, await change(desk, patient, phone=ASH["phone"]), "sms", granted=True)
    await book(desk, "eval-run", TEN)
    await pool.execute("update messages set state = 'sending', lease_token = gen_random_uuid()")
    await change(desk, patient, phone=OTHER_PHONE, email="new@example.com", language="es")
    await pool.execute("update messages set state = 'pending', lease_token = null")
    late = datetime.fromisoformat(TEN) - timedelta(hours=37)
    assert set(await sent_by(pool, late)) == {
        ("email", "new@example.com"),
        *([("sms", OTHER_DIALLED)] if agreed else []),
    }
    async with pool.acquire() as connection:
        soon = NOW + timedelta(minutes=1)
        assert (await claim_messages(connection, limit=50, lease_seconds=60, now=soon))[0] == []
        claimed, _ = await claim_messages(connection, limit=50, lease_seconds=60, now=soon)
    assert {message.language for message in claimed} == {"es"}


async def test_planned_messages_take_the_new_language(desk: httpx.AsyncClient, pool: Pool) -> None:
    patient = (await book(desk, "eval-run", TEN)).json()["patient"]
    await pool.execute("update messages set state = 'sent' where kind = 'booked'")
    await change(desk, patient, language="es")
    rows = await pool.fetch("select distinct kind, language from messages")
    assert {tuple(row) for row in rows} == {("booked", "en"), ("reminder", "es")}


async def test_texts_agreed_to_later_are_planned_and_email_refused_is_not_sent(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = (await book(desk, "eval-run", TEN, patient=ASH | {"sms_consent": None})).json()
    assert {one["channel"] for one in await messages_of(desk, visit)} == {"email"}
    await say(desk, visit["patient"], "sms", granted=True)
    await say(desk, visit["patient"], "sms", granted=True)
    reminders = [one for one in await messages_of(desk, visit) if one["channel"] == "sms"]
    assert {one["kind"] for one in reminders} == {"reminder"}
    assert len({(one["template"], one["due_at"]) for one in reminders}) == len(reminders)

    refused = await say(desk, visit["patient"], "email", granted=False)
    assert refused["address"] == "ash@example.com"
    assert {state for state, *_ in await planned(pool, "email")} == {"suppressed"}
    late = datetime.fromisoformat(TEN) - timedelta(hours=23)
    assert {channel for channel, _ in await sent_by(pool, late)} == {"sms"}
    # Also one that slipped through, such as one that was being sent just then.
    await pool.execute("update messages set state = 'pending'")
    assert {channel for channel, _ in await sent_by(pool, late)} == {"sms"}


async def test_every_word_about_messages_is_kept_with_who_when_how_and_for_which_address(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = await add(desk)
    answer = await say(desk, patient, "sms", granted=False)
    said = (await desk.get(f"/api/v1/patients/{patient['id']}/consents")).json()["items"]
    assert [(one["granted"], one["method"]) for one in said] == [(True, "api"), (False, "phone")]
    assert said[1] == answer
    assert said[1] | {"id": "", "recorded_at": ""} == {
        "id": "",
        "channel": "sms",
        "scope": "visits",
        "granted": False,
        "address": "+12015550142",
        "language": "en",
        "wording_version": "2026-11",
        "method": "phone",
        "actor": "key:front desk",
        "recorded_at": "",
    }
    assert datetime.fromisoformat(said[1]["recorded_at"]).utcoffset() is not None
    assert (await desk.get(f"/api/v1/patients/{patient['id']}")).json()["sms_consent"] is False
    assert await trace(pool, "patient.declined") == [
        (
            "patient.declined",
            patient["id"],
            {"channel": "sms", "scope": "visits", "method": "phone", "wording_version": "2026-11"},
        )
    ]


async def test_a_consent_sent_twice_under_one_key_is_one_record(desk: httpx.AsyncClient, pool: Pool) -> None:
    patient = await add(desk, JO)
    path, body = f"/api/v1/patients/{patient['id']}/consents", {"channel": "sms", **AGREED}
    answers = [await desk.post(path, json=body, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert await pool.fetchval("select count(*) from consents") == 1


async def test_a_patients_visits_come_newest_last_page_by_page(desk: httpx.AsyncClient) -> None:
    days = ["2026-12-10", "2026-12-08", "2026-12-09"]
    booked = [(await book(desk, "follow-up", f"{day}T10:00:00-05:00")).json() for day in days]
    await book(desk, "follow-up", "2026-12-09T11:00:00-05:00", patient=JO)
    patient_id = booked[0]["patient"]["id"]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while params:
        page = (await desk.get(f"/api/v1/patients/{patient_id}/visits", params=params)).json()
        seen += [one["starts_at"][:10] for one in page["items"]]
        params = {"limit": 2, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert seen == sorted(days)
    whole = (await desk.get(f"/api/v1/patients/{patient_id}/visits")).json()["items"]
    assert whole[0] == (await desk.get(f"/api/v1/visits/{booked[1]['id']}")).json()


async def test_everybody_who_looks_at_a_patient_leaves_a_row(desk: httpx.AsyncClient, pool: Pool) -> None:
    ash, jo = await add(desk), await add(desk, JO | {"family_name": "Sampson"})
    await desk.get("/api/v1/patients", params={"q": "samp"})
    await desk.get("/api/v1/patients", params={"q": "nobody"})
    paths = {"": "read", "/visits": "visits_listed", "/consents": "consents_read", "/export": "exported"}
    for path in paths:
        assert (await desk.get(f"/api/v1/patients/{jo['id']}{path}")).status_code == 200
    one_each: list[Traced] = [(f"patient.{name}", jo["id"], {}) for name in paths.values()]
    looked = await trace(pool, "patients.listed", *(action for action, *_ in one_each))
    assert looked == [("patients.listed", None, {"patients": [ash["id"], jo["id"]]}), *one_each]
    actors = await pool.fetch("select distinct actor from audit_events where action like 'patient%'")
    assert [row["actor"] for row in actors] == ["key:front desk"]


async def test_an_export_holds_everything_about_one_patient_and_nothing_about_another(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "eval-run", TEN)).json()
    ash = visit["patient"]
    other = (await book(desk, "follow-up", "2026-12-09T10:00:00-05:00", patient=JO | {"family_name": "Samuels"})).json()
    await desk.get("/api/v1/patients", params={"q": "sam"})
    await change(desk, ash, language="es")
    message_id = await pool.fetchval(
        """update messages set state = 'sent', rendered = '{"subject": "S", "text": "You are booked"}', attempts = 1
        where visit_id = $1 and kind = 'booked' and channel = 'sms' returning id""",
        UUID(visit["id"]),
    )
    await pool.execute(
        "insert into message_attempts (clinic_id, message_id, number, outcome) values ($1, $2, 1, 'accepted')",
        clinic.id, message_id,
    )  # fmt: skip
    for number, (patient_id, text) in enumerate([(ash["id"], "C"), (None, "Who?"), (other["patient"]["id"], "R")]):
        await pool.execute(
            """insert into inbound_messages (clinic_id, id, provider_id, sender, recipient, body, patient_id)
            values ($1, $2, $3, '+12015550142', '+12015550100', $4, $5)""",
            clinic.id, new_id(), f"SM{number}", text, patient_id and UUID(patient_id),
        )  # fmt: skip

    await pool.execute(
        """insert into audit_events (clinic_id, id, actor, action, details)
        values ($1, $2, 'key:front desk', 'patients.told', $3)""",
        clinic.id, new_id(), {"patients": [ash["id"], other["patient"]["id"]]},
    )  # fmt: skip

    for patient_id, body in [(ash["id"], "Thanks"), (None, "Who is this?"), (other["patient"]["id"], "Moved")]:
        await pool.execute(
            """insert into messages (clinic_id, id, patient_id, visit_version, kind, template, channel, lead_minutes,
                language, address, variables, not_before, expires_at, dedupe_key, rendered)
            values ($1, $2, $3, 0, 'reply', 'reply_unclear', 'sms', 0, 'en', '+12015550142', '{}', now(),
                now() + interval '1 day', $4, jsonb_build_object('subject', '', 'text', $4::text))""",
            clinic.id, new_id(), patient_id and UUID(patient_id), body,
        )  # fmt: skip
    for patient_id, visit_id in [(ash["id"], None), (None, visit["id"]), (other["patient"]["id"], other["id"])]:
        await pool.execute(
            """insert into desk_tasks (clinic_id, id, kind, subject_id, patient_id, visit_id, reason)
            values ($1, $2, 'undeliverable', $2, $3, $4, 'Call them')""",
            clinic.id, new_id(), patient_id and UUID(patient_id), visit_id and UUID(visit_id),
        )  # fmt: skip
    for channel, address in [("sms", "+12015550142"), ("email", "ash@example.com"), ("sms", "+12015550143")]:
        await pool.execute(
            "insert into unreachable_addresses (clinic_id, channel, address, reason) values ($1, $2, $3, 'No such')",
            clinic.id, channel, address,
        )  # fmt: skip

    response = await desk.get(f"/api/v1/patients/{ash['id']}/export")
    assert response.status_code == 200, response.text
    assert response.headers["content-disposition"] == f'attachment; filename="patient-{ash["id"]}.json"'
    assert response.headers["cache-control"] == "no-store"
    export = response.json()
    assert (export["patient"]["family_name"], export["patient"]["language"]) == ("Sample", "es")
    assert [(one["channel"], one["granted"]) for one in export["consents"]] == [("sms", True)]
    (exported,) = export["visits"]
    assert exported["visit"]["id"] == visit["id"]
    assert [one["action"] for one in exported["history"]] == ["visit.booked"]
    (left,) = [one for one in export["messages"] if one["id"] == str(message_id)]
    assert (left["text"], left["address"], left["attempts"][0]["outcome"]) == (
        "You are booked",
        "+12015550142",
        "accepted",
    )
    answers = [one for one in export["messages"] if one["kind"] == "reply"]
    assert [(one["text"], one["visit_id"]) for one in answers] == [("Thanks", None), ("Who is this?", None)]
    assert len(export["messages"]) == len(await messages_of(desk, visit)) + len(answers)
    assert [(one["visit_id"], one["reason"]) for one in export["tasks"]] == [
        (None, "Call them"), (visit["id"], "Call them"),
    ]  # fmt: skip
    assert {one["address"] for one in export["unreachable"]} == {"+12015550142", "ash@example.com"}
    assert [one["text"] for one in export["inbound"]] == ["C", "Who?"]
    changes = ["patient.created", "patient.consented", "patient.changed", "patients.told"]
    assert [one["action"] for one in export["changes"]] == changes
    assert [one["action"] for one in export["readings"]] == ["patients.listed", "patient.exported"]
    for strange in (other["id"], other["patient"]["id"], "Samuels", "Jo", "Moved", "+12015550143"):
        assert strange not in response.text


ROUTES = [
    ("POST", "", "patients:write"),
    ("GET", "?q=sample", "patients:read"),
    ("GET", "/{id}", "patients:read"),
    ("PATCH", "/{id}", "patients:write"),
    ("GET", "/{id}/visits", "patients:read"),
    ("GET", "/{id}/visits", "visits:read"),
    ("POST", "/{id}/consents", "patients:write"),
    ("GET", "/{id}/consents", "patients:read"),
    ("GET", "/{id}/export", "patients:read"),
]
BODIES: dict[str, dict[str, Any]] = {
    "": ASH,
    "/{id}": {"birth_date": "1990-02-03"},
    "/{id}/consents": {"channel": "sms", **AGREED},
}
EVERY_SCOPE = ["visits:read", "visits:write", "schedule:write", "patients:read", "patients:write", "messages:read"]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
async def test_patients_are_closed_to_the_public_and_to_keys_without_the_scope(
    public: httpx.AsyncClient,
    desk: httpx.AsyncClient,
    app: Litestar,
    pool: Pool,
    clinic: Clinic,
    method: str,
    path: str,
    scope: str,
) -> None:
    patient = await add(desk)
    url, body = f"/api/v1/patients{path.format(id=patient['id'])}", BODIES.get(path) if method != "GET" else None
    assert (await public.request(method, url, json=body)).status_code == 401
    allowed = [one for verb, route, one in ROUTES if (verb, route) == (method, path)]
    others = [one for one in EVERY_SCOPE if one not in allowed]
    async with pool.acquire() as connection:
        _, weak = await create_api_key(connection, clinic, "weak", others, actor=SYSTEM)
        _, strong = await create_api_key(connection, clinic, "strong", [scope], actor=SYSTEM)
    async with client_of(app, Authorization=f"Bearer {weak}") as client:
        assert (await client.request(method, url, json=body)).status_code == 403
    async with client_of(app, Authorization=f"Bearer {strong}") as client:
        assert (await client.request(method, url, json=body)).is_success


@pytest.mark.parametrize(("method", "path"), sorted({(verb, path) for verb, path, _ in ROUTES if "{id}" in path}))
async def test_somebody_of_another_clinic_is_as_unknown_as_nobody(
    desk: httpx.AsyncClient, elsewhere: httpx.AsyncClient, method: str, path: str
) -> None:
    patient = await add(desk)
    body = BODIES.get(path) if method != "GET" else None
    for client, patient_id in ((elsewhere, patient["id"]), (desk, str(uuid4()))):
        response = await client.request(method, f"/api/v1/patients{path.format(id=patient_id)}", json=body)
        assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert (await elsewhere.get("/api/v1/patients", params={"q": "sample"})).json()["items"] == []
    assert (await elsewhere.get("/api/v1/patients", params={"q": "0142"})).json()["items"] == []
    assert (await add(elsewhere))["id"] != patient["id"]


WRONG = {
    "given_name": " ",
    "family_name": "x" * 101,
    "phone": "call me",
    "email": "ash@",
    "birth_date": "2099-01-01",
    "language": "tlh",
}


async def test_a_patient_that_cannot_be_kept_names_every_field(desk: httpx.AsyncClient) -> None:
    patient = await add(desk)
    for response in (
        await desk.post("/api/v1/patients", json=WRONG),
        await desk.patch(f"/api/v1/patients/{patient['id']}", json=WRONG),
    ):
        assert response.status_code == 422
        assert {error["pointer"] for error in response.json()["errors"]} == {f"/{name}" for name in WRONG}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("", {"email": ""}, "/email"),
        ("", {"given_name": None}, "/given_name"),
        ("", {"language": None}, "/language"),
        ("", {"nickname": "A"}, "/nickname"),
        ("", {"birth_date": "yesterday"}, "/birth_date"),
        ("/consents", {"granted": True, "wording_version": "2026-11"}, "/channel"),
        ("/consents", {"channel": "fax", **AGREED}, "/channel"),
        ("/consents", {"channel": "email", **AGREED}, "/channel"),
        ("/consents", {"channel": "sms", **AGREED, "method": "hearsay"}, "/method"),
        ("/consents", {"channel": "sms", "granted": True, "wording_version": ""}, "/wording_version"),
        ("/consents", {"channel": "sms", **AGREED, "why": "x"}, "/why"),
    ],
)
async def test_a_body_that_cannot_be_used_names_the_field(
    desk: httpx.AsyncClient, path: str, body: dict[str, Any], pointer: str
) -> None:
    patient = await add(desk, JO)
    method = "POST" if path else "PATCH"
    response = await desk.request(method, f"/api/v1/patients/{patient['id']}{path}", json=body)
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


async def test_what_was_refused_about_a_patient_is_not_kept_in_part(desk: httpx.AsyncClient, pool: Pool) -> None:
    wrong = JO | {"sms_consent": {"granted": True, "wording_version": "x" * 41}}
    assert (await desk.post("/api/v1/patients", json=wrong)).status_code == 422
    assert await pool.fetchval("select count(*) from patients") == 0
