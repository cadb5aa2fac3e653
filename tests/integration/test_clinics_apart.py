"""Two clinics in one database: neither sees, changes or can guess anything of the other, on any route there is."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.desk_tasks import open_task
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from scheduler.web.openapi import document_of
from tests.integration.conftest import ROOT, client_of
from tests.integration.requests import ASH, JO, TEN, book, hold

pytestmark = pytest.mark.usefixtures("monday")

NOON = "2026-12-09T12:45:00-05:00"
ZED: dict[str, Any] = {
    "given_name": "Zed",
    "family_name": "Onlyhere",
    "phone": "201 555 0177",
    "email": "zed@example.com",
    "sms_consent": {"granted": True, "wording_version": "2026-11"},
}
# What tells of the whole installation and of nobody in it.
OF_NO_CLINIC = {"getLiveness", "getReadiness", "getMetrics"}

# A date names a day of whichever clinic is asked: nothing of the other's is reached by it.
NAMED_BY_DATE_ALONE = {"getClosure", "setClosure", "removeClosure"}

# A therapist of the first clinic is unknown at the second, so a list of theirs would be refused and show nothing.
FILTERS = {"therapist"}

# What cannot be had at the second clinic though no id of the first stands in the address.
REFUSED = {"bookVisit": 404, "explainAvailability": 422, "getClosure": 404}


class Ours(msgspec.Struct, frozen=True):
    """What the first clinic has, by the parameter that would name it, and the words that only it knows."""

    values: dict[str, str]
    secrets: set[str]


@pytest.fixture
async def clinics(pool: Pool, tmp_path: Path) -> list[Clinic]:
    """Return two clinics, the second with other people."""
    text = (ROOT / "config" / "clinic.toml").read_text(encoding="utf-8")
    other = text.replace('code = "fair-lawn"', 'code = "wayne"').replace("hosts = []", 'hosts = ["wayne.test"]')
    for name in ("rivera", "okafor", "lind", "marsh"):
        other = other.replace(f"[therapists.{name}]", f"[therapists.w-{name}]")
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    (tmp_path / "b.toml").write_text(other, encoding="utf-8")
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(tmp_path))
        return await load_clinics(connection)


@pytest.fixture
async def app_of_two(unbound_app: Litestar, clinics: list[Clinic]) -> Litestar:
    unbound_app.state.directory.replace(clinics)
    return unbound_app


async def client_for(app: Litestar, pool: Pool, clinic: Clinic) -> httpx.AsyncClient:
    async with pool.acquire() as connection:
        _, key = await create_api_key(connection, clinic, "front desk", ["admin"], actor=SYSTEM)
    return client_of(app, Authorization=f"Bearer {key}")


@pytest.fixture
async def first(app_of_two: Litestar, pool: Pool, clinics: list[Clinic]) -> AsyncIterator[httpx.AsyncClient]:
    async with await client_for(app_of_two, pool, clinics[0]) as client:
        yield client


@pytest.fixture
async def second(app_of_two: Litestar, pool: Pool, clinics: list[Clinic]) -> AsyncIterator[httpx.AsyncClient]:
    async with await client_for(app_of_two, pool, clinics[1]) as client:
        yield client


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    return response.json()


@pytest.fixture
async def ours(first: httpx.AsyncClient, pool: Pool, clinics: list[Clinic]) -> Ours:
    """Give the first clinic one of everything."""
    visit = (await book(first, "eval-run", TEN, therapist="rivera", patient=ZED)).json()
    held = await hold(first, "follow-up", NOON, therapist="rivera")
    subscribed = await made(first, "/api/v1/webhooks", url="https://partner.example/hook", events=["visit.booked"])
    webhook = subscribed["webhook"]
    await first.post(f"/api/v1/webhooks/{webhook['id']}/test")
    bounds = {"from": "2027-02-01", "to": "2027-02-02"}
    away = await made(first, "/api/v1/therapists/rivera/time-off", **bounds, reason="away")
    await first.put("/api/v1/therapists/rivera/overrides/2027-02-03", json={"windows": [], "reason": "course"})
    await first.put("/api/v1/closures/2027-02-04", json={"windows": [], "reason": "boiler"})
    message_id = (await first.get("/api/v1/messages", params={"visit_id": visit["id"]})).json()["items"][0]["id"]
    inbound_id, mine = new_id(), clinics[0].id
    await pool.execute(
        """insert into inbound_messages (clinic_id, id, provider_id, sender, recipient, body, needs_attention)
        values ($1, $2, 'SM1', '+12015550177', '+12015550100', 'hello', true)""",
        mine,
        inbound_id,
    )
    async with pool.acquire() as connection:
        await open_task(
            connection, mine, kind="undeliverable", subject_id=UUID(message_id), visit_id=UUID(visit["id"]),
            message_id=UUID(message_id), reason="boiler",
        )  # fmt: skip
    values = {
        "visit_id": visit["id"],
        "patient_id": visit["patient"]["id"],
        "message_id": message_id,
        "hold_id": held["id"],
        "hold_token": held["token"],
        "Hold-Token": held["token"],
        "inbound_id": str(inbound_id),
        "task_id": str(await pool.fetchval("select id from desk_tasks")),
        "webhook_id": webhook["id"],
        "delivery_id": str(await pool.fetchval("select id from webhook_deliveries limit 1")),
        "time_off_id": away["id"],
        "code": "rivera",
        "therapist": "rivera",
        "day": "2027-02-03",
        "q": "onlyhere",
        "If-Match": '"1"',
    }
    words = {"Zed", "Onlyhere", "zed@example.com", "5550177", "partner.example", "course", "boiler"}
    return Ours(values, words | {value for name, value in values.items() if name.endswith("_id")})


def requests_of(app: Litestar, ours: Ours) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return a request for every operation, which names what the first clinic has wherever it can name something."""
    document: dict[str, Any] = json.loads(json.dumps(document_of(app)))
    made: list[tuple[str, str, str, dict[str, Any]]] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts: dict[str, Any] = {"params": {}, "headers": {}}
            url = path
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                value = ours.values.get(name) or parameter.get("example")
                if parameter["in"] == "path":
                    assert name in ours.values, f"{path}: say in this test what {name} is"
                    url = url.replace(f"{{{name}}}", value)
                elif parameter["in"] == "header" and name != "Idempotency-Key":
                    parts["headers"][name] = value
                elif parameter["in"] == "query" and (parameter.get("required") or name in ours.values.keys() - FILTERS):
                    parts["params"][name] = value
            content = operation.get("requestBody", {}).get("content", {})
            for media in content.values():
                bodies: list[dict[str, Any]] = [one["value"] for one in media.get("examples", {}).values()]
                parts["json"] = {**bodies[0]}
                parts["json"] |= {name: ours.values[name] for name in parts["json"] if name in ours.values}
                if "therapist" in parts["json"]:
                    # Somebody of the second clinic, so that nothing else is wrong with the request.
                    parts["json"]["therapist"] = "w-rivera"
            made.append((operation["operationId"], method.upper(), url, parts))
    return made


async def snapshot(pool: Pool, clinic: Clinic) -> dict[str, str]:
    """Return a digest of all that a clinic has, by table."""
    tables = await pool.fetch(
        "select table_name as name from information_schema.columns where column_name = 'clinic_id' and table_schema = "
        "'public'"
    )
    digests: dict[str, str] = {}
    for table in tables:
        rows = await pool.fetch(f"select t::text as row from {table['name']} as t where clinic_id = $1", clinic.id)
        digests[table["name"]] = hashlib.sha256("\n".join(sorted(row["row"] for row in rows)).encode()).hexdigest()
    return digests


async def test_a_clinic_sees_and_changes_nothing_of_another_on_any_route(
    app_of_two: Litestar, pool: Pool, clinics: list[Clinic], ours: Ours, second: httpx.AsyncClient
) -> None:
    before = await snapshot(pool, clinics[0])
    asked = 0
    for operation, method, url, parts in requests_of(app_of_two, ours):
        if operation in OF_NO_CLINIC:
            continue
        response = await second.request(method, url, **parts)
        said = f"{operation}: {response.status_code} {response.text[:300]}"
        told = [word for word in ours.secrets if word in response.text and word not in str(parts.get("json"))]
        assert not told, f"{said} tells {told}"
        if "{" in url:
            raise AssertionError(f"{operation}: {url} has a parameter that was not filled in")
        named = any(value in url for name, value in ours.values.items() if name != "day")
        if named and operation not in NAMED_BY_DATE_ALONE:
            assert response.status_code == 404, said
            asked += 1
        else:
            # What is there for every clinic is answered from the second one's own.
            assert response.status_code == REFUSED.get(operation, response.status_code), said
            assert response.status_code < 300 or operation in REFUSED, said
    assert asked > 30, "this test has lost its routes"
    assert await snapshot(pool, clinics[0]) == before


async def test_a_patient_or_hold_of_another_clinic_cannot_be_booked_for(
    ours: Ours, second: httpx.AsyncClient, pool: Pool
) -> None:
    visits = await pool.fetchval("select count(*) from visits")
    guessed = await book(second, "follow-up", NOON, patient_id=ours.values["patient_id"])
    assert (guessed.status_code, guessed.json()["code"]) == (404, "not-found")
    taken = await second.post(
        "/api/v1/visits",
        json={"hold_id": ours.values["hold_id"], "hold_token": ours.values["hold_token"], "patient": JO},
    )
    assert (taken.status_code, taken.json()["code"]) == (404, "hold-not-found")
    assert await pool.fetchval("select count(*) from visits") == visits


async def test_the_same_person_at_two_clinics_is_two_patients_and_may_be_in_both_at_once(
    first: httpx.AsyncClient, second: httpx.AsyncClient
) -> None:
    here = (await book(first, "follow-up", TEN, patient=ASH)).json()
    there = (await book(second, "follow-up", TEN, patient=ASH)).json()
    assert here["patient"]["id"] != there["patient"]["id"]
    assert [one["id"] for one in (await second.get("/api/v1/visits")).json()["items"]] == [there["id"]]
    assert [one["id"] for one in (await first.get("/api/v1/patients", params={"q": "0142"})).json()["items"]] == [
        here["patient"]["id"]
    ]


async def test_the_public_is_served_by_the_clinic_whose_host_they_asked(
    app_of_two: Litestar, clinics: list[Clinic]
) -> None:
    async with client_of(app_of_two) as public:
        at_first = (await public.get("/api/v1/therapists")).json()["items"]
        at_second = (await public.get("/api/v1/therapists", headers={"Host": "wayne.test"})).json()["items"]
    assert {one["code"] for one in at_first} == set(clinics[0].therapists)
    assert {one["code"] for one in at_second} == set(clinics[1].therapists)
