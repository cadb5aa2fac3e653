"""The front desk's patients: kept once, changed, and refused by their field."""

from typing import Any

import httpx
import pytest

from scheduler.store.connections import Pool
from tests.integration.filing import AGREED, add, change, planned, trace
from tests.integration.requests import ASH, JO, TEN, book, book_held, hold

pytestmark = pytest.mark.usefixtures("monday")


WRONG = {
    "given_name": " ",
    "family_name": "x" * 101,
    "phone": "call me",
    "email": "ash@",
    "birth_date": "2099-01-01",
    "language": "tlh",
}


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


async def test_a_change_that_changes_nothing_is_a_reading_of_the_record(desk: httpx.AsyncClient, pool: Pool) -> None:
    patient = await add(desk, ASH)
    await change(desk, patient)
    assert len(await trace(pool, "patient.read")) == 1
    await change(desk, patient, given_name=ASH["given_name"])
    assert len(await trace(pool, "patient.read")) == 2
    await change(desk, patient, given_name="Ashley")
    assert len(await trace(pool, "patient.read")) == 2
    assert len(await trace(pool, "patient.changed")) == 1


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
