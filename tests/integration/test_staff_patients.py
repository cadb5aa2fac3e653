"""The desk finds patients, changes them and writes down what they say; every look leaves a row, no name an address."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from scheduler.domain.actors import Actor, Browser
from scheduler.domain.clinics import Clinic
from scheduler.domain.own_visits import BY_LINK
from scheduler.services.patients import Agreement, record_consent
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.unreachable import note_unreachable
from tests.integration.requests import ASH, JO, NOW, act, book
from tests.integration.staffing import Screen, at_the_desk, hidden_fields, hire, signed_in

PATIENTS = "/staff/patients"


@pytest.fixture
async def screen(app: Litestar, pool: Pool, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with signed_in(app, pool, clinic, settings, "desk", name="Ana Morales") as screen:
        yield screen


@pytest.fixture
async def ash(desk: httpx.AsyncClient) -> dict[str, Any]:
    """Book and cancel a visit for Ash, and book another."""
    gone = (await book(desk, "follow-up", "2027-03-09T10:00:00-05:00")).json()
    await act(desk, gone, "cancel", reason="asked by phone")
    return (await book(desk, "follow-up", "2027-03-16T10:00:00-04:00")).json()["patient"]


async def look_for(screen: Screen, words: str) -> str:
    found = await screen.send(PATIENTS, f"{PATIENTS}/search", q=words)
    assert found.headers["location"] == PATIENTS, "no name is in an address"
    return (await screen.follow(found)).text


def readings(pool: Pool) -> Any:
    return pool.fetch(
        "select action, actor, patient_id, details from audit_events where actor like 'staff:%' order by id"
    )


@pytest.mark.parametrize("words", ["ash", "Sample, Ash", "sam", "0142", "555-0142", "2015550142"])
async def test_a_patient_is_found_by_the_beginning_of_a_name_or_the_end_of_a_phone(
    words: str, screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    page = await look_for(screen, words)
    assert f'href="{PATIENTS}/{ash["id"]}"' in page
    assert "Ash Sample" in page
    assert "Jo" not in page
    assert "<title>Patients | Front desk</title>" in page
    listed = [row for row in await readings(pool) if row["action"] == "patients.listed"]
    assert [row["details"] for row in listed] == [{"patients": [ash["id"]]}]
    assert "0142" not in str(listed), "what was looked for is nobody's business"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("a", "Type at least 2 letters of a name."),
        ("014", "Type at least the last 4 digits"),
        ("x" * 500, "No patient found."),
    ],
)
async def test_a_search_for_too_little_says_so(words: str, sentence: str, screen: Screen) -> None:
    assert sentence in await look_for(screen, words)


async def test_a_search_stays_with_its_session_and_goes_with_it(
    screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    await look_for(screen, "ash")
    assert f"{PATIENTS}/{ash['id']}" in (await screen.open(PATIENTS)).text, "as after Back"
    await screen.send(PATIENTS, "/staff/sign-out")
    assert await pool.fetchval("select max(patient_search) from staff_sessions") == ""


async def test_many_patients_come_in_pages(screen: Screen, desk: httpx.AsyncClient) -> None:
    for number in range(27):
        body = {"given_name": "Lee", "family_name": f"Sample {number:02}", "phone": f"201 555 01{number:02}"}
        assert (await desk.post("/api/v1/patients", json=body)).status_code == 201
    first = await look_for(screen, "lee")
    more = re.search(rf'href="({PATIENTS}\?after=[^"]+)"', first)
    assert more
    second = (await screen.open(more[1])).text
    names = re.findall(r"Sample \d\d", first) + re.findall(r"Sample \d\d", second)
    assert names == [f"Sample {number:02}" for number in range(27)]
    assert (await screen.open(f"{PATIENTS}?after=00000000-0000-0000-0000-000000000000")).headers["location"] == PATIENTS


async def test_a_card_shows_contact_consent_visits_and_messages_and_that_it_was_seen(
    screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    page = (await screen.open(f"{PATIENTS}/{ash['id']}")).text.replace("\u00a0", " ")
    for words in (
        "(201) 555-0142", "ash@example.com", "Texts about visits: Yes", "Given in another program", "by front desk",
        "Tue, Mar 16, 2027", "Tue, Mar 9, 2027", "Canceled", "Booking by text", "Wording 2026-11, English",
    ):  # fmt: skip
        assert words in page, words
    assert "<title>Patient | Front desk</title>" in page
    assert "style=" not in page
    (row,) = [row for row in await readings(pool) if row["action"] == "patient.card_read"]
    assert str(row["patient_id"]) == ash["id"]
    assert "Who saw and changed this" not in page, "that is for administrators"


async def test_with_names_hidden_a_card_has_initials_and_the_end_of_a_phone(
    screen: Screen, ash: dict[str, Any]
) -> None:
    await look_for(screen, "ash")
    await screen.send(PATIENTS, "/staff/preferences", hide_names="yes")
    for address in (PATIENTS, f"{PATIENTS}/{ash['id']}"):
        page = (await screen.open(address)).text
        shown = re.sub(r'value="ash"', "", page)
        assert "A.S." in page
        assert not re.search(r"\bAsh\b|Sample|example\.com|555-0142", shown)
        assert "ending in 42" in page
    assert (await screen.open(f"{PATIENTS}/{ash['id']}/change")).headers["location"] == f"{PATIENTS}/{ash['id']}"


async def test_details_are_changed_and_messages_follow(screen: Screen, ash: dict[str, Any], pool: Pool) -> None:
    form = f"{PATIENTS}/{ash['id']}/change"
    fields = {
        "given_name": "Ashley", "family_name": "Sample", "phone": "(201) 555-0142", "email": "ashley@example.com",
        "birth_date": "1990-02-03", "language": "es",
    }  # fmt: skip
    saved = await screen.follow(await screen.send(form, form, **fields))
    assert "Saved." in saved.text
    assert "Ashley Sample" in saved.text
    assert "02/03/1990" in saved.text
    planned = await pool.fetch("select distinct channel, address, language from messages where state = 'pending'")
    assert {tuple(row) for row in planned} == {("sms", "+12015550142", "es"), ("email", "ashley@example.com", "es")}
    (row,) = await pool.fetch("select actor, details from audit_events where action = 'patient.changed'")
    assert row["actor"].startswith("staff:")
    assert row["details"] == {"fields": ["birth_date", "email", "given_name", "language"]}


async def test_what_cannot_be_saved_is_said_beside_its_field_and_nothing_typed_is_lost(
    screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    form = f"{PATIENTS}/{ash['id']}/change"
    typed = {
        "given_name": " ", "family_name": "<b>Sample", "phone": "12", "email": "nobody", "birth_date": "2090-01-01",
        "language": "xx",
    }  # fmt: skip
    told = await screen.send(form, form, **typed)
    assert told.status_code == 422
    for sentence in (
        "Enter the first name.", "Enter a 10-digit US number", "Enter an email address",
        "Enter a date of birth in the past.",
    ):  # fmt: skip
        assert told.text.count(sentence) == 2, "in the summary, and beside its field"
    assert 'value="&lt;b&gt;Sample"' in told.text
    assert told.text.count("<title>Error: ") == 1
    assert await pool.fetchval("select count(*) from audit_events where action = 'patient.changed'") == 0
    assert (await screen.send(form, form, **{**typed, "birth_date": "soon"})).status_code == 422


async def test_a_change_that_would_make_a_twin_leads_to_the_other_record(
    screen: Screen, ash: dict[str, Any], desk: httpx.AsyncClient
) -> None:
    other = (await desk.post("/api/v1/patients", json=JO)).json()
    form = f"{PATIENTS}/{other['id']}/change"
    told = await screen.send(form, form, given_name="ASH", family_name="Sample", phone=ASH["phone"], language="en")
    assert told.status_code == 409
    assert f'href="{PATIENTS}/{other["id"]}/merge?with={ash["id"]}"' in told.text


async def test_a_new_patient_is_added_once(screen: Screen, pool: Pool) -> None:
    form = f"{PATIENTS}/new"
    for words in ("Added. Nothing was said about texts yet", "on file already"):
        answer = await screen.send(
            form, form, given_name="Kim", family_name="Sample", phone="201 555 0188", language="en"
        )
        assert words in (await screen.follow(answer)).text
    assert await pool.fetchval("select count(*) from patients where given_name = 'Kim'") == 1
    assert await pool.fetchval("select actor like 'staff:%' from audit_events where action = 'patient.created'")


async def test_what_a_patient_says_is_written_down_with_its_proof_and_holds_at_once(
    screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    card = f"{PATIENTS}/{ash['id']}"
    assert "Reply STOP to opt out" in (await screen.open(card)).text, "the words to read to the patient"
    said = await screen.follow(await screen.send(card, f"{card}/consents", what="sms-visits", said="no", how="phone"))
    assert "Written down. It holds from now on." in said.text
    assert "Texts about visits: No" in said.text
    assert "Said on the telephone, written down by A.M." in said.text
    assert await pool.fetchval("select count(*) from messages where channel = 'sms' and state = 'pending'") == 0
    await screen.send(card, f"{card}/consents", what="sms-visits", said="yes", how="paper")
    proof = await pool.fetch("select granted, method, wording_version, actor from consents order by recorded_at, id")
    assert [(row["granted"], row["method"]) for row in proof] == [(True, "api"), (False, "phone"), (True, "paper")]
    assert {row["wording_version"] for row in proof} == {"2026-11"}
    assert await pool.fetchval("select count(*) from messages where channel = 'sms' and state = 'pending'") > 0


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"said": "yes", "how": "phone"}, "Choose what the patient spoke of."),
        ({"what": "sms-visits", "how": "phone"}, "Choose what the patient said."),
        ({"what": "sms-visits", "said": "yes", "how": "telepathy"}, "Choose how the patient said it."),
        ({"what": "email-visits", "said": "yes", "how": "phone"}, "The patient has no email address on file."),
    ],
)
async def test_a_consent_that_says_too_little_is_not_written_down(
    fields: dict[str, str], sentence: str, screen: Screen, desk: httpx.AsyncClient, pool: Pool
) -> None:
    jo = (await desk.post("/api/v1/patients", json=JO)).json()
    told = await screen.send(f"{PATIENTS}/{jo['id']}", f"{PATIENTS}/{jo['id']}/consents", **fields)
    assert (told.status_code, sentence in told.text) == (422, True)
    assert await pool.fetchval("select count(*) from consents") == 0


async def test_a_number_that_nothing_gets_through_to_is_marked_until_a_consent_says_otherwise(
    screen: Screen, ash: dict[str, Any], pool: Pool, clinic: Clinic
) -> None:
    async with pool.acquire() as connection:
        await note_unreachable(connection, clinic.id, "sms", "+12015550142", "Not a mobile number.")
    card = f"{PATIENTS}/{ash['id']}"
    assert "Texts do not get through: Not a mobile number, since" in (await screen.open(card)).text
    await screen.send(card, f"{card}/consents", what="sms-visits", said="yes", how="phone")
    assert "do not get through" not in (await screen.open(card)).text


async def test_a_patient_of_another_clinic_or_of_none_is_nothing(
    screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    for patient_id in ("01a22378-2ce8-7260-982a-f680ec960ed1", "nobody"):
        for page in ("", "/change"):
            assert (await screen.open(f"{PATIENTS}/{patient_id}{page}")).status_code == 404
    assert ash["id"]
    assert await pool.fetchval("select count(*) from audit_events where action = 'patient.card_read'") == 0


async def test_therapists_do_not_look_through_the_patients(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, ash: dict[str, Any]
) -> None:
    async with signed_in(app, pool, clinic, settings, "therapist") as screen:
        for page in ("", "/new", f"/{ash['id']}", f"/{ash['id']}/change"):
            assert (await screen.open(f"{PATIENTS}{page}")).status_code == 403


async def test_a_card_of_many_visits_is_quick(screen: Screen, ash: dict[str, Any], pool: Pool) -> None:
    await pool.execute(
        """insert into visits
            (clinic_id, id, status, visit_type, therapist_id, patient_id, starts_at, ends_at, created_by)
        select clinic_id, gen_random_uuid(), 'completed', visit_type, therapist_id, patient_id,
            starts_at - number * interval '3 days', ends_at - number * interval '3 days', 'public'
        from visits, generate_series(1, 300) as number where status = 'booked'"""
    )
    answer = await screen.open(f"{PATIENTS}/{ash['id']}")
    assert "91 earlier" in answer.text
    assert len(answer.text) < 50_000
    assert answer.elapsed < timedelta(seconds=2)


async def test_who_types_is_shown_the_first_of_many_and_each_who_was_listed_leaves_its_mark(
    screen: Screen, ash: dict[str, Any], pool: Pool
) -> None:
    await pool.execute(
        """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
        select id, gen_random_uuid(), 'Kit', 'Multi' || n, 'multi' || n || E'\\x1f' || 'kit',
            '+1201555' || (1000 + n), 'en' from clinics, generate_series(1, 120) as n"""
    )
    hidden = hidden_fields((await screen.open(PATIENTS)).text)

    async def suggest(words: str) -> str:
        answer = await screen.client.post(
            f"{PATIENTS}/search", data={**hidden, "q": words}, headers={"HX-Request": "true"}
        )
        assert answer.status_code == 200
        assert "<html" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.text

    assert "Keep typing, more than 99 matches" in await suggest("mul")
    assert f'href="{PATIENTS}/{ash["id"]}"' in await suggest("sample")
    nobody = await suggest("jo sampleton")
    assert "No patient found" in nobody
    assert "Add Jo S.?" in nobody
    assert "Add a new patient?" in await suggest("9999")
    assert "Type at least 2 letters" in await suggest("j")
    listed = [row["details"]["patients"] for row in await readings(pool) if row["action"] == "patients.listed"]
    assert [len(patients) for patients in listed] == [10, 1]
    await suggest("jo sampleton")
    form = (await screen.open(f"{PATIENTS}/new?searched=1")).text
    assert 'value="Jo"' in form
    assert 'value="Sampleton"' in form
    assert "Sampleton" not in (await screen.open(f"{PATIENTS}/new")).text


async def test_the_key_that_leads_to_the_search_is_each_persons_choice_and_stays_so(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    person = await hire(pool, clinic, settings, "ana")
    async with at_the_desk(app) as screen:
        await screen.sign_in(person)
        assert 'aria-keyshortcuts="/"' in (await screen.open("/staff/account")).text
        await screen.send(PATIENTS, "/staff/preferences", search_key="no")
        page = (await screen.open("/staff/account")).text
        assert "aria-keyshortcuts" not in page
        assert "Hide names" in page, "the other choice stands"
    await pool.execute("update staff_accounts set totp_step = 0")
    async with at_the_desk(app) as screen:
        await screen.sign_in(person)
        assert "aria-keyshortcuts" not in (await screen.open("/staff/account")).text
        await screen.send(PATIENTS, "/staff/preferences", search_key="yes")
        assert 'aria-keyshortcuts="/"' in (await screen.open("/staff/account")).text
    actions = [row["action"] for row in await readings(pool)]
    assert [one for one in actions if "search-key" in one] == ["staff.search-key-off", "staff.search-key-on"]


async def test_a_card_tells_from_where_a_patient_said_it_on_a_page(
    screen: Screen, ash: dict[str, Any], pool: Pool, clinic: Clinic, desk: httpx.AsyncClient
) -> None:
    patient = Actor(name="patient", browser=Browser(address="2001:db8::7", user_agent="Example Browser"))
    agreement = Agreement(channel="sms", granted=False, wording_version="2026-11", method=BY_LINK)
    async with pool.acquire() as connection, connection.transaction():
        await record_consent(connection, clinic, UUID(ash["id"]), agreement, actor=patient, now=NOW)
    told = "Said on their own page from 2001:db8::7, written down by"
    assert told in (await screen.open(f"{PATIENTS}/{ash['id']}")).text
    by_key, by_page = (await desk.get(f"/api/v1/patients/{ash['id']}/consents")).json()["items"]
    assert (by_key["client_address"], by_key["user_agent"]) == (None, None)
    assert (by_page["client_address"], by_page["user_agent"]) == ("2001:db8::7", "Example Browser")
    (proof,) = [
        said
        for said in (await desk.get(f"/api/v1/patients/{ash['id']}/export")).json()["consents"]
        if said["client_address"]
    ]
    assert proof == by_page
    await screen.send(PATIENTS, "/staff/preferences", hide_names="yes")
    assert "2001:db8::7" not in (await screen.open(f"{PATIENTS}/{ash['id']}")).text
