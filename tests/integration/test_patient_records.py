"""What is held about a patient, shown whole; whoever looked is written down, and nobody else sees it."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.integration.conftest import ROOT, client_of, make_key
from tests.integration.filing import AGREED, Traced, add, change, say, trace
from tests.integration.requests import ASH, JO, TEN, book, messages_of

pytestmark = pytest.mark.usefixtures("monday")


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
        "client_address": None,
        "user_agent": None,
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
    for visit_id, text in [(visit["id"], "Prefers the table by the window"), (other["id"], "Not for Ash to read")]:
        await pool.execute(
            "insert into visit_notes (clinic_id, id, visit_id, text, created_by) values ($1, $2, $3, $4, 'staff:1')",
            clinic.id, new_id(), UUID(visit_id), text,
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
    assert [(one["visit_id"], one["text"]) for one in export["notes"]] == [
        (visit["id"], "Prefers the table by the window")
    ]
    assert {one["address"] for one in export["unreachable"]} == {"+12015550142", "ash@example.com"}
    assert [one["text"] for one in export["inbound"]] == ["C", "Who?"]
    changes = ["patient.created", "patient.consented", "patient.changed", "patients.told"]
    assert [one["action"] for one in export["changes"]] == changes
    assert [one["action"] for one in export["readings"]] == ["patients.listed", "patient.exported"]
    for strange in (other["id"], other["patient"]["id"], "Samuels", "Jo", "Moved", "Not for Ash", "+12015550143"):
        assert strange not in response.text


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
