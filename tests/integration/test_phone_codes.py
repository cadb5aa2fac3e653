"""The code by text that a clinic may want before a booking is final: who gets one, how often, what it is good for."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.services.phone_codes import AGAIN_AFTER, GOOD_FOR, PROVEN_FOR, SENDS, TRIES
from scheduler.store.connections import Pool
from scheduler.store.phone_codes import forget_codes
from tests.integration.conftest import client_of
from tests.integration.requests import book, book_held, hold, local
from tests.integration.texting import open_line

NOW = local("2026-11-23T10:00:00-05:00")
TEN, TWO = "2026-12-08T10:00:00-05:00", "2026-12-08T14:00:00-05:00"
ASH = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142", "email": "ash@example.com"}
PHONE = "+12015550142"


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def strict(clinic: Clinic) -> Clinic:
    """Return the clinic as one that wants phones proven."""
    return msgspec.structs.replace(clinic, settings=msgspec.structs.replace(clinic.settings, phone_code=True))


@pytest.fixture
async def browser(app: Litestar, strict: Clinic) -> AsyncIterator[httpx.AsyncClient]:
    app.state.directory.replace([strict])
    async with client_of(app, Accept="text/html") as client:
        yield client


def text_of(page: httpx.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text.partition("<body>")[2])).split())


def fields(page: httpx.Response) -> dict[str, str]:
    """Return what the form of a page sends along by itself."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


async def hold_page(browser: httpx.AsyncClient, start: str = TEN, **more: str) -> tuple[str, dict[str, str]]:
    """Hold a time; return the address of the third step and what its form sends along."""
    answer = await browser.post("/book/holds", data={"type": "eval-run", "who": "rivera", "start": start, **more})
    if answer.status_code == 200:
        return re.findall(r' action="(/book/h/[^"]+)"', answer.text)[0], fields(answer)
    url = answer.headers["location"]
    return url, fields(await browser.get(url))


async def ask(browser: httpx.AsyncClient, start: str = TEN, **details: str) -> tuple[str, dict[str, str]]:
    """Go as far as the page that asks for the code; return the address of its hold and what its form sends along."""
    url, form = await hold_page(browser, start)
    page = await browser.post(url, data={**form, **ASH, **details})
    assert page.status_code == 200
    assert "Check your phone" in text_of(page)
    return url, fields(page)


async def codes(pool: Pool) -> list[str]:
    """Return every code that was texted, first to last."""
    rows = await pool.fetch("select variables ->> 'code' from messages where template = 'code' order by id")
    return [code for (code,) in rows]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def count(pool: Pool, what: str) -> int:
    return await pool.fetchval(f"select count(*) from {what}")


async def test_the_sample_clinic_asks_for_no_code(browser: httpx.AsyncClient, app: Litestar, clinic: Clinic) -> None:
    app.state.directory.replace([clinic])
    url, form = await hold_page(browser)
    assert "text it a code" not in (await browser.get(url)).text
    assert (await browser.post(url, data={**form, **ASH})).headers["location"] == f"{url}/done"


async def test_a_booking_is_final_once_the_code_is_typed_in(browser: httpx.AsyncClient, pool: Pool) -> None:
    url, form = await ask(browser)
    assert await count(pool, "visits where status = 'booked'") == await count(pool, "patients") == 0
    (code,) = await codes(pool)
    kept = await pool.fetchrow("select * from phone_codes")
    assert kept is not None
    assert code not in str(kept)
    assert "0142" not in str(kept)
    done = await browser.post(f"{url}/code", data={**form, "code": f" {code[:3]}-{code[3:]} "})
    assert (done.status_code, done.headers["location"]) == (303, f"{url}/done")
    visit = await pool.fetchrow("select status, created_by from visits")
    assert visit is not None
    assert tuple(visit) == ("booked", "public")
    assert await count(pool, "phone_codes") == 0
    assert (await browser.post(f"{url}/code", data={**form, "code": code})).headers["location"] == f"{url}/done"
    assert await count(pool, "visits") == 1


async def test_two_taps_on_a_right_code_book_once_and_both_see_it(browser: httpx.AsyncClient, pool: Pool) -> None:
    url, form = await ask(browser)
    (code,) = await codes(pool)
    answers = await asyncio.gather(*(browser.post(f"{url}/code", data={**form, "code": code}) for _ in range(3)))
    assert {(one.status_code, one.headers["location"]) for one in answers} == {(303, f"{url}/done")}
    assert await count(pool, "visits") == 1
    assert len(await codes(pool)) == 1


async def test_a_code_bears_few_mistakes_and_then_none(browser: httpx.AsyncClient, pool: Pool, clock: Any) -> None:
    url, form = await ask(browser)
    (code,) = await codes(pool)
    for left in range(TRIES - 1, -1, -1):
        page = await browser.post(f"{url}/code", data={**form, "code": wrong(code)})
        assert page.status_code == 422
        expected = {0: "not the code either", 1: "You have 1 more try."}.get(left, f"You have {left} more tries.")
        assert expected in text_of(page)
        assert page.text.count("<title>Error:") == 1
        assert {name: fields(page)[name] for name in ASH} == ASH
    # Now the right one is no better.
    assert "not the code either" in text_of(await browser.post(f"{url}/code", data={**form, "code": code}))
    assert await count(pool, "visits where status = 'booked'") == 0
    clock.shift(AGAIN_AFTER)
    again = await browser.post(f"{url}/code", data={**form, "again": "yes"})
    assert "Only this one works now." in text_of(again)
    assert "not the code we texted" in text_of(await browser.post(f"{url}/code", data={**form, "code": code}))
    newest = (await codes(pool))[-1]
    assert (await browser.post(f"{url}/code", data={**form, "code": newest})).status_code == 303


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "12 34 5x"])
async def test_what_cannot_be_a_code_costs_no_try(browser: httpx.AsyncClient, pool: Pool, typed: str) -> None:
    url, form = await ask(browser)
    page = await browser.post(f"{url}/code", data={**form, "code": typed})
    assert page.status_code == 422
    assert "Enter the 6 digits that we texted" in text_of(page)
    assert await pool.fetchval("select wrong from phone_codes") == 0


async def test_a_code_grows_old(browser: httpx.AsyncClient, pool: Pool, clock: Any) -> None:
    url, form = await ask(browser)
    (code,) = await codes(pool)
    assert await pool.fetchval("select expires_at from messages where template = 'code'") == NOW + GOOD_FOR
    clock.shift(GOOD_FOR)
    page = await browser.post(f"{url}/code", data={**form, "code": code})
    assert "That code has expired." in text_of(page)
    # Whoever starts over with the form gets another one without asking.
    fresh = await browser.post(url, data={**form, **ASH})
    assert "Check your phone" in text_of(fresh)
    assert (await browser.post(f"{url}/code", data={**form, "code": (await codes(pool))[-1]})).status_code == 303


async def test_a_hold_has_a_few_codes_half_a_minute_apart(browser: httpx.AsyncClient, pool: Pool, clock: Any) -> None:
    url, form = await ask(browser)
    # The form sent twice, or "again" at once, sends nothing.
    await browser.post(url, data={**form, **ASH})
    soon = await browser.post(f"{url}/code", data={**form, "again": "yes"})
    assert "We texted a code a moment ago." in text_of(soon)
    assert len(await codes(pool)) == 1
    for _ in range(SENDS - 1):
        clock.shift(AGAIN_AFTER)
        await browser.post(f"{url}/code", data={**form, "again": "yes"})
    assert len(set(await codes(pool))) >= 2
    clock.shift(AGAIN_AFTER)
    last = await browser.post(f"{url}/code", data={**form, "again": "yes"})
    assert last.status_code == 422
    assert "Please call us to book it." in text_of(last)
    assert len(await codes(pool)) == SENDS


async def test_a_phone_has_a_few_codes_a_day(
    app: Litestar, browser: httpx.AsyncClient, pool: Pool, strict: Clinic
) -> None:
    limits = msgspec.structs.replace(strict.settings.limits, codes_per_phone_per_day=2)
    app.state.directory.replace(
        [msgspec.structs.replace(strict, settings=msgspec.structs.replace(strict.settings, limits=limits))]
    )
    starts = ["2026-12-08T08:00:00-05:00", TEN, TWO]
    pages: list[httpx.Response] = []
    for start in starts:
        url, form = await hold_page(browser, start)
        pages.append(await browser.post(url, data={**form, **ASH}))
    assert [page.status_code for page in pages] == [200, 200, 429]
    assert "Please call us to book" in text_of(pages[-1])
    assert len(await codes(pool)) == 2


async def test_a_code_proves_its_own_phone_at_its_own_hold_alone(browser: httpx.AsyncClient, pool: Pool) -> None:
    url, form = await ask(browser)
    (code,) = await codes(pool)
    # Another number, with the code of the first: it is sent one of its own.
    page = await browser.post(f"{url}/code", data={**form, "phone": "201 555 0143", "code": code})
    assert page.status_code == 200
    addresses = await pool.fetch("select address from messages where template = 'code' order by id")
    assert [one["address"] for one in addresses] == [PHONE, "+12015550143"]
    assert await count(pool, "visits where status = 'booked'") == 0
    # The first number's code is good no more, because the hold has one code at a time.
    await browser.post(f"{url}/code", data={**form, "code": code})
    assert await count(pool, "visits where status = 'booked'") == 0


async def test_changing_the_number_keeps_what_was_typed(browser: httpx.AsyncClient) -> None:
    url, form = await ask(browser, texts="yes")
    page = await browser.post(url, data={**form, "edit": "yes"})
    assert page.status_code == 200
    assert 'value="201 555 0142"' in page.text
    assert 'name="texts" value="yes" aria-describedby="texts-hint" checked' in page.text
    spanish = await browser.post(f"{url}/code?lang=es", data=form)
    assert '<html lang="es">' in spanish.text
    assert fields(spanish) == form
    assert (await browser.get(f"{url}/code")).headers["location"] == url


async def test_a_time_lost_in_the_same_moment_costs_no_second_code(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, clock: Any
) -> None:
    url, form = await ask(browser)
    (code,) = await codes(pool)
    await pool.execute("update occupancy set expires_at = now() - interval '1 second' where kind = 'hold'")
    other = {"given_name": "Jo", "family_name": "Placeholder", "phone": "201 555 0143"}
    assert (await book(desk, "eval-run", TEN, therapist="rivera", patient=other)).status_code == 201
    lost = await browser.post(f"{url}/code", data={**form, "code": code})
    assert lost.status_code == 409
    assert "Nothing was booked." in text_of(lost)
    carried = fields(lost)
    assert {name: carried[name] for name in ASH} == ASH
    url, form = await hold_page(browser, TWO, **carried)
    assert form["proof"] == carried["proof"]
    for change in ({"phone": "201 555 0143"}, {"proof": f"9{form['proof']}"}, {"proof": "x.y"}, {"proof": ""}):
        answer = await browser.post(url, data={**form, **ASH, **change})
        assert answer.status_code == 200, change
        assert "Check your phone" in text_of(answer), change
    booked = await browser.post(url, data={**form, **ASH})
    assert booked.headers["location"] == f"{url}/done"
    # A proof grows old as well.
    url, _ = await hold_page(browser, "2026-12-09T10:00:00-05:00")
    form = fields(await browser.get(url))
    clock.shift(PROVEN_FOR + timedelta(seconds=1))
    late = await browser.post(url, data={**form, **ASH, "proof": carried["proof"]})
    assert "Check your phone" in text_of(late)


@pytest.mark.usefixtures("browser")
async def test_whoever_books_without_the_pages_has_a_key_or_is_refused(
    public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    held = await hold(public, "eval-run", TEN)
    refused = await book_held(public, held)
    assert (refused.status_code, refused.json()["code"]) == (403, "phone-unproven")
    assert await count(pool, "patients") == 0
    assert (await book_held(desk, held)).status_code == 201


async def test_the_code_arrives_as_a_text_and_not_after_stop(
    app: Litestar, browser: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool, strict: Clinic
) -> None:
    async with open_line(app, pool, [strict]) as line:
        await ask(browser)
        await line.send(NOW)
        (code,) = await codes(pool)
        (heard,) = line.heard(PHONE)
        assert heard == (
            f"Twin Boro Physical Therapy Fair Lawn: {code} is your booking code, good for 10 minutes. "
            "Not you? Ignore this or call (201) 791-1100."
        )
        consent = {"granted": True, "wording_version": "2026-11"}
        patient = {"given_name": "Ash", "family_name": "Sample", "phone": PHONE, "sms_consent": consent}
        assert (await desk.post("/api/v1/patients", json=patient)).status_code == 201
        await line.text(PHONE, "STOP")
        before = line.heard(PHONE)
        await ask(browser, start=TWO)
        await line.send(NOW)
        assert line.heard(PHONE) == before
        states = await pool.fetch("select state from messages where template = 'code' order by id")
        assert [one["state"] for one in states] == ["sent", "suppressed"]


async def test_no_code_goes_to_a_stranger_who_said_stop(
    app: Litestar, browser: httpx.AsyncClient, pool: Pool, strict: Clinic
) -> None:
    async with open_line(app, pool, [strict]) as line:
        await line.text(PHONE, "please stop texting me")
        await ask(browser)
        await line.send(NOW)
        assert line.heard(PHONE) == []
        await line.text(PHONE, "START")
        await ask(browser, start=TWO)
        await line.send(NOW)
        assert "is your booking code" in line.heard(PHONE)[-1]


async def test_old_codes_are_forgotten(browser: httpx.AsyncClient, pool: Pool) -> None:
    await ask(browser)
    await pool.execute("update phone_codes set expires_at = now() + interval '1 minute'")
    await forget_codes(pool)  # pyright: ignore[reportArgumentType]
    assert await count(pool, "phone_codes") == 1
    await pool.execute("update phone_codes set expires_at = now() - interval '61 minutes'")
    await forget_codes(pool)  # pyright: ignore[reportArgumentType]
    assert await count(pool, "phone_codes") == 0
