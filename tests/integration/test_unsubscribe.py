"""Reminders by email end where the patient says so, by one click; news of a visit that changed still comes."""

import html
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine
from litestar import Litestar
from msgspec.structs import replace

from scheduler.channels.base import NO_LINK
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.delivery import Post
from scheduler.services.unsubscribes import make_token, read_token
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.telemetry import scrub
from tests.integration.conftest import client_of
from tests.integration.mailing import mailing, plain_text_of, send_all
from tests.integration.requests import act, book, messages_of
from tests.simulators.smtp import Received, SmtpSimulator

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TEN = datetime.fromisoformat("2026-12-08T10:00:00-05:00")
REMINDED = TEN - timedelta(hours=71)
ASH: dict[str, Any] = {
    "given_name": "Ash",
    "family_name": "Sample",
    "phone": "201 555 0142",
    "email": "ash@example.com",
}


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
async def server() -> AsyncIterator[SmtpSimulator]:
    async with SmtpSimulator() as simulator:
        yield simulator


@pytest.fixture
async def post(settings: Settings, pool: Pool, clinic: Clinic, server: SmtpSimulator) -> AsyncIterator[Post]:
    async with mailing(settings, pool, clinic, server) as ready:
        yield ready


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, Accept="text/html,*/*;q=0.8") as client:
        yield client


async def remind(desk: httpx.AsyncClient, post: Post, server: SmtpSimulator, **patient: Any) -> Received:
    """Book a visit, let its confirmation and its reminder go, and return the reminder."""
    booked = await book(desk, "follow-up", TEN.isoformat(), patient=ASH | patient)
    assert booked.status_code == 201, booked.text
    await send_all(post, NOW + timedelta(minutes=1))
    await send_all(post, REMINDED)
    return server.received[-1]


def link_in(reminder: Received) -> str:
    """Return the path of the link, which is the same in the header and in the words."""
    found = re.search(r"<(https?://[^>]+)>, <mailto:", reminder.message["List-Unsubscribe"])
    assert found
    assert found[1] in plain_text_of(reminder.message)
    return "/" + found[1].split("/", 3)[3]


async def one_click(browser: httpx.AsyncClient, path: str) -> httpx.Response:
    return await browser.post(path, data={"List-Unsubscribe": "One-Click"})


def text_of(page: httpx.Response) -> str:
    return " ".join(
        html.unescape(re.sub(r"<head.*?</head>|<svg.*?</svg>|<[^>]+>", " ", page.text, flags=re.DOTALL)).split()
    )


async def consents(pool: Pool) -> list[tuple[str, str, bool, str]]:
    rows = await pool.fetch("select channel, scope, granted, method from consents order by recorded_at")
    return [tuple(row) for row in rows]


async def book_another(desk: httpx.AsyncClient, day: int = 9) -> dict[str, Any]:
    return (await book(desk, "follow-up", TEN.replace(day=day).isoformat(), patient=ASH)).json()


async def test_one_click_ends_reminders_and_nothing_else(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    answer = await one_click(browser, path)
    assert answer.status_code == 200, "a mail program does not follow where an answer sends it"
    assert "Email reminders are off" in text_of(answer)
    assert await consents(pool) == [("email", "reminders", False, "unsubscribe")]
    server.received.clear()
    visit = await book_another(desk)
    await send_all(post, NOW + timedelta(minutes=2))
    assert [mail.message["Subject"] for mail in server.received] == ["Your appointment on Wednesday, December 9"]
    await send_all(post, REMINDED + timedelta(days=1))
    assert len(server.received) == 1
    (reminder,) = [
        one for one in await messages_of(desk, visit) if one["kind"] == "reminder" and one["channel"] == "email"
    ]
    assert (reminder["state"], reminder["reason"]) == (
        "suppressed",
        "The patient has no email address, or wants no such email.",
    )
    moved = (await act(desk, visit, "reschedule", starts_at=TEN.replace(day=10).isoformat())).json()
    await send_all(post, NOW + timedelta(minutes=3))
    await act(desk, moved, "cancel", reason="clinic closed", by="clinic")
    await send_all(post, NOW + timedelta(minutes=4))
    assert [mail.message["Subject"] for mail in server.received][1:] == [
        "Your appointment moved to Thursday, December 10",
        "We must cancel your appointment on Thursday, December 10",
    ]


async def test_only_reminders_offer_it(desk: httpx.AsyncClient, post: Post, server: SmtpSimulator) -> None:
    await remind(desk, post, server)
    booked, reminder = server.received
    assert booked.message["List-Unsubscribe"] is None
    assert "/u/" not in plain_text_of(booked.message)
    assert reminder.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


async def test_mail_programs_post_as_either_kind_of_form_and_as_often_as_they_like(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    multipart = await browser.post(path, files={"List-Unsubscribe": (None, "One-Click")})
    bare = await browser.post(path)
    answers = [multipart, bare, await one_click(browser, path), await one_click(browser, path)]
    assert {answer.status_code for answer in answers} == {200}
    assert len(await consents(pool)) == 1


async def test_looking_at_the_page_changes_nothing(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    page = await browser.get(path)
    assert (await browser.get(path)).text == page.text
    assert "Email reminders are on" in text_of(page)
    assert 'name="reminders" value="off"' in page.text
    assert (await browser.head(path)).status_code in (200, 405)
    assert await consents(pool) == []
    for private in ("Ash", "Sample,", "ash@", "0142", "December", path):
        assert private not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_what_was_turned_off_can_be_turned_on_again(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    off = await browser.post(path, data={"reminders": "off"})
    assert 'name="reminders" value="on"' in off.text
    assert "Email reminders are off" in text_of(await browser.get(path))
    for _ in range(2):
        assert "Email reminders are on" in text_of(await browser.post(path, data={"reminders": "on"}))
    assert [row[2] for row in await consents(pool)] == [False, True]
    await book_another(desk)
    await send_all(post, NOW + timedelta(minutes=2))
    server.received.clear()
    await send_all(post, REMINDED + timedelta(days=1))
    assert len(server.received) == 1


async def test_a_link_that_we_did_not_make_looks_like_any_other_and_does_nothing(
    desk: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    post: Post,
    server: SmtpSimulator,
    pool: Pool,
    clinic: Clinic,
    settings: Settings,
) -> None:
    path = link_in(await remind(desk, post, server))
    patient_id = await pool.fetchval("select id from patients")
    secret = settings.secret_key
    forged = [
        make_token("another secret that is as long as it", clinic.id, patient_id),
        make_token(secret, new_id(), patient_id),
        make_token(secret, clinic.id, new_id()),
        path.removeprefix("/u/")[:-2],
        path.removeprefix("/u/")[:20] + "AAAA" + path.removeprefix("/u/")[24:],
        "x",
        "a" * 43,
        "%C3%A9" * 10,
        "a" * 3000,
    ]
    genuine = (await browser.get(path)).text
    for token in forged:
        page = await browser.get(f"/u/{token}")
        assert page.status_code == 200
        assert page.text == genuine
        assert "Email reminders are off" in text_of(await one_click(browser, f"/u/{token}"))
    assert await consents(pool) == []
    genuine_off = (await one_click(browser, path)).text
    assert (await one_click(browser, "/u/x")).text == genuine_off


async def test_a_link_opens_the_clinic_that_it_is_of(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings, browser: httpx.AsyncClient
) -> None:
    elsewhere = replace(clinic, id=new_id(), code="elsewhere", settings=replace(clinic.settings, name="Elsewhere"))
    patient_id = new_id()
    token = make_token(settings.secret_key, elsewhere.id, patient_id)
    assert read_token(settings.secret_key, [clinic], token) is None
    assert read_token(settings.secret_key, [clinic, elsewhere], token) == (elsewhere, patient_id)
    app.state.directory.replace([clinic, elsewhere])
    await pool.execute(
        "insert into clinics select $2, 'elsewhere', 1, timezone, settings from clinics where id = $1",
        clinic.id,
        elsewhere.id,
    )
    for owner, name in ((clinic.id, "Ash"), (elsewhere.id, "Jo")):
        await pool.execute(
            """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, email, language)
            values ($1, $2, $3, 'Sample', $3, '+12015550142', 'a@example.com', 'en')""",
            owner,
            patient_id,
            name,
        )
    page = await one_click(browser, f"/u/{token}")
    assert "<b>Elsewhere</b>" in page.text
    assert [row["clinic_id"] for row in await pool.fetch("select clinic_id from consents")] == [elsewhere.id]


async def test_the_page_speaks_the_language_of_the_mail(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator
) -> None:
    reminder = await remind(desk, post, server, language="es")
    assert "Desactivar los recordatorios por correo: http" in plain_text_of(reminder.message)
    path = link_in(reminder)
    assert "Los recordatorios por correo están activados" in text_of(await browser.get(path))
    assert "Los recordatorios por correo están desactivados" in text_of(await one_click(browser, path))
    english = await browser.get(f"{path}?lang=en")
    assert "Email reminders are off" in text_of(english)


async def test_who_wants_no_email_at_all_gets_none_by_this_link(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    await say_at_the_desk(desk, pool, granted=False)
    page = await browser.post(path, data={"reminders": "on"})
    assert "Email reminders are off" in text_of(page)
    assert len(await consents(pool)) == 1


async def test_agreeing_at_the_desk_turns_reminders_on_again(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    await one_click(browser, path)
    await say_at_the_desk(desk, pool, granted=True)
    assert "Email reminders are on" in text_of(await browser.get(path))
    await book_another(desk)
    await send_all(post, NOW + timedelta(minutes=2))
    server.received.clear()
    await send_all(post, REMINDED + timedelta(days=1))
    assert len(server.received) == 1


async def say_at_the_desk(desk: httpx.AsyncClient, pool: Pool, *, granted: bool) -> None:
    patient_id = await pool.fetchval("select id from patients")
    body = {"channel": "email", "granted": granted, "wording_version": "2026-11", "method": "phone"}
    answer = await desk.post(f"/api/v1/patients/{patient_id}/consents", json=body)
    assert answer.status_code == 201, answer.text


async def test_the_desk_sees_that_a_patient_still_takes_email_and_what_they_said(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    await one_click(browser, link_in(await remind(desk, post, server)))
    patient_id = await pool.fetchval("select id from patients")
    assert (await desk.get(f"/api/v1/patients/{patient_id}")).json()["email_consent"] is None
    (said,) = (await desk.get(f"/api/v1/patients/{patient_id}/consents")).json()["items"]
    assert (said["scope"], said["granted"], said["method"]) == ("reminders", False, "unsubscribe")
    event = await pool.fetchrow("select actor, patient_id, details from audit_events where action = 'patient.declined'")
    assert event is not None
    assert tuple(event) == (
        "public",
        patient_id,
        {"channel": "email", "scope": "reminders", "method": "unsubscribe"},
    )


async def test_the_link_is_kept_nowhere(
    desk: httpx.AsyncClient, browser: httpx.AsyncClient, post: Post, server: SmtpSimulator, pool: Pool
) -> None:
    path = link_in(await remind(desk, post, server))
    await one_click(browser, path)
    token = path.removeprefix("/u/")
    tables = await pool.fetch("select tablename from pg_tables where schemaname = 'public'")
    for (table,) in tables:
        assert await pool.fetchval(f'select count(*) from "{table}" as t where t::text like $1', f"%{token}%") == 0
    kept = await pool.fetchval(
        "select rendered ->> 'text' from messages where kind = 'reminder' and rendered is not null"
    )
    assert f"Turn off email reminders: {NO_LINK}" in kept
    assert token not in scrub(f"GET {path} 200")


async def test_a_link_is_the_patients_own_and_the_same_in_every_reminder(clinic: Clinic, settings: Settings) -> None:
    tokens = [make_token(settings.secret_key, clinic.id, UUID(int=number)) for number in (7, 8, 7)]
    assert tokens[0] == tokens[2] != tokens[1]
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)
    assert read_token(settings.secret_key, [clinic], tokens[1]) == (clinic, UUID(int=8))
