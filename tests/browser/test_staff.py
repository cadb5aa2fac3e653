"""Signing in, patients, the audit and reports as people of the clinic meet them, in a real browser."""

import csv
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from scheduler.settings import load_settings
from scheduler.store.clinics import load_clinics
from tests.browser.conftest import OpenPage
from tests.browser.desk import Booked, book, desk_faults, sign_in
from tests.browser.site import Site
from tests.browser.steps import watch_answers, watch_policy, weight
from tests.integration.staffing import Person, hire

LARGEST_PAGE = 50 * 1024
MOST_REQUESTS = 6

# Pages of this file, each open to nobody without an account.
PAGES = ["/staff/account", "/staff/patients", "/staff/patients/new", "/staff/reports", "/staff/audit"]


async def ana(site: Site) -> Person:
    async with site.pool.acquire() as connection:
        (clinic,) = await load_clinics(connection)
    return await hire(site.pool, clinic, load_settings(site.environment))


async def devon(site: Site) -> Booked:
    return await book(site, 1, "Devon", "Hartley", starts_in=timedelta(days=3), email="devon@example.com")


async def twin(site: Site) -> Booked:
    """Book for the same person, with a slip of the pen and the other email."""
    booked = await book(site, 2, "Deven", "Hartley", starts_in=timedelta(days=4))
    await site.pool.execute("update patients set phone = '+12015550101' where given_name = 'Deven'")
    return booked


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


async def test_signing_in_takes_the_keyboard_alone_and_no_script_and_leads_on(site: Site, open_page: OpenPage) -> None:
    person = await ana(site)
    page = await open_page(scripts=False, new=True)
    await page.goto("/staff/patients")
    await expect(page).to_have_url(re.compile("/staff/sign-in"))
    await page.focus("#username")
    await page.keyboard.type(person.username)
    await press(page, "Tab")
    await page.keyboard.type("not the password")
    await press(page, "Enter")
    await expect(page.get_by_role("alert")).to_contain_text("The username or the password does not fit.")
    await expect(page).to_have_title(re.compile("^Error: "))
    await expect(page.locator("#username")).to_have_value(person.username)
    await expect(page.locator("#password")).to_have_value("")
    await page.focus("#password")
    await page.keyboard.type(person.password)
    await press(page, "Enter")
    await expect(page.get_by_role("heading", name="The code on your phone")).to_be_visible()
    await page.focus("#code")
    await page.keyboard.type(person.code())
    await press(page, "Enter")
    await expect(page).to_have_url(f"{site.url}/staff/patients")


async def test_whoever_was_away_signs_in_and_is_back_where_they_were(site: Site, open_page: OpenPage) -> None:
    booked, person = await devon(site), await ana(site)
    page = await open_page(new=True)
    await page.goto(f"/staff/patients/{booked.patient_id}")

    async def enter(step: int) -> None:
        await page.fill("#username", person.username)
        await page.fill("#password", person.password)
        await page.get_by_role("button", name="Sign in").click()
        await page.fill("#code", person.code(step))
        await page.get_by_role("button", name="Go on").click()

    await enter(0)
    await expect(page.get_by_role("heading", name="Devon Hartley")).to_be_visible()
    await site.pool.execute("update staff_sessions set idle_at = now()")
    await page.get_by_text("Write down what the patient says").click()
    await page.get_by_label("No", exact=True).check()
    await page.get_by_role("button", name="Write it down").click()
    await expect(page.get_by_text("You were signed out before that was saved.")).to_be_visible()
    assert await site.pool.fetchval("select count(*) from consents where not granted") == 0
    await enter(1)
    await expect(page.get_by_role("heading", name="Devon Hartley")).to_be_visible()


async def test_two_records_are_made_one_by_clicking(site: Site, open_page: OpenPage, scripts: bool) -> None:
    booked, other = await devon(site), await twin(site)
    page = await open_page(scripts=scripts, new=True)
    await sign_in(page, site)
    await page.goto("/staff/patients")
    await page.get_by_label("Name, or the last four digits of a phone").fill("hart")
    await page.get_by_role("button", name="Find").click()
    await expect(page.locator(".people li")).to_have_count(2)
    await page.get_by_role("link", name="Devon Hartley").click()
    await page.get_by_role("link", name="Deven Hartley").click()
    await page.get_by_role("button", name="Yes, make them one").click()
    await expect(page.get_by_role("status")).to_contain_text("The two records are one.")
    await expect(page.get_by_label("Visits to come").locator("li")).to_have_count(2)
    await page.goto(f"/staff/patients/{other.patient_id}")
    await expect(page).to_have_url(f"{site.url}/staff/patients/{booked.patient_id}")
    await page.goto("/staff/patients")
    await expect(page.locator(".people li")).to_have_count(1)


async def test_an_administrator_takes_out_the_audit_as_a_file(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    booked = await devon(site)
    page = await open_page(new=True)
    await sign_in(page, site, "admin", name="Avery Manager")
    await page.goto(f"/staff/patients/{booked.patient_id}")
    await page.get_by_role("link", name="Who saw and changed this").click()
    await expect(page.locator(".records tbody tr").first).to_contain_text("Looked at a patient's card")
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Save as CSV").click()
    file = tmp_path / "audit.csv"
    await (await started.value).save_as(file)
    with file.open(encoding="utf-8-sig") as text:
        rows = list(csv.DictReader(text))
    assert {"visit.booked", "patient.card_read"} <= {row["action"] for row in rows}
    await page.reload()
    await expect(page.locator(".records tbody")).to_contain_text("Took out a part of the audit")


async def states(page: Page, site: Site) -> AsyncIterator[str]:
    """Yield every state of these pages, as the page shows it."""

    async def go(address: str) -> str:
        await page.goto(address)
        return address

    yield await go("/staff/sign-in")
    yield await go("/staff/sign-in?next=%2Fstaff%2Faudit&lost=1")
    await page.fill("#username", "nobody")
    await page.get_by_role("button", name="Sign in").click()
    yield "refused"
    booked, other, person = await devon(site), await twin(site), await ana(site)
    await page.fill("#username", person.username)
    await page.fill("#password", person.password)
    await page.get_by_role("button", name="Sign in").click()
    yield "the second step"
    await page.fill("#code", "1")
    await page.get_by_role("button", name="Go on").click()
    yield "a wrong code"
    await page.context.clear_cookies()
    await sign_in(page, site, "admin", name="Avery Manager")
    yield await go("/staff/account")
    await page.get_by_role("button", name="Set up another phone").click()
    yield "a new phone"
    await page.get_by_role("button", name="Change the password").click()
    yield "a wrong password"
    await page.locator(".me summary").click()
    yield "the menu"
    async for name in patient_states(page, site, booked, other):
        yield name
    yield await go("/staff/audit")
    yield await go(f"/staff/audit?patient={booked.patient_id}")
    yield await go("/staff/audit?from=soon")
    yield await go("/staff/reports")
    yield await go("/staff/reports?from=2026-12-02&to=2026-12-01")
    await site.pool.execute("update staff_sessions set hide_names = true")
    yield await go(f"/staff/patients/{booked.patient_id}")
    yield await go("/staff/nowhere")
    yield await go("/staff/patients/01a22378-2ce8-7260-982a-f680ec960ed1")


async def patient_states(page: Page, site: Site, booked: Booked, other: Booked) -> AsyncIterator[str]:
    """Yield every state of the pages of patients, of whom there are two who may be one."""
    await page.goto("/staff/patients")
    yield "patients"
    await page.fill("#q", "h")
    await page.get_by_role("button", name="Find").click()
    yield "too short a search"
    for words in ("nobody", "hart"):
        await page.fill("#q", words)
        await page.get_by_role("button", name="Find").click()
        yield f"a search for {words}"
    await page.goto("/staff/patients/new")
    yield "a new patient"
    await page.get_by_role("button", name="Save").click()
    yield "a form with errors"
    card = f"/staff/patients/{booked.patient_id}"
    await site.pool.execute(
        """insert into unreachable_addresses (clinic_id, channel, address, reason)
        select clinic_id, 'sms', phone, 'Not a mobile number.' from patients where id = $1""",
        booked.patient_id,
    )
    await page.goto(card)
    yield "a card"
    for details in await page.locator("summary").all():
        await details.click()
    yield "an open card"
    await page.goto(f"{card}/change")
    yield "a change"
    await page.goto(f"{card}/merge?with={other.patient_id}")
    yield "two records"


@pytest.mark.timeout(180)
async def test_every_state_is_accessible_neutral_and_within_the_policy(site: Site, open_page: OpenPage) -> None:
    lax, strict = await open_page(lax=True, new=True), await open_page(new=True)
    broken = await watch_policy(strict)
    found: dict[str, list[str]] = {}
    async for name in states(lax, site):
        if faults := await desk_faults(lax):
            found[name] = faults
    await site.forget_patients()
    async for name in states(strict, site):
        if broken:
            found[f"{name}, policy"] = [*broken]
            broken.clear()
    assert found == {}


async def test_a_page_is_light(site: Site, open_page: OpenPage) -> None:
    booked = await devon(site)
    page = await open_page(new=True)
    await sign_in(page, site, "admin", name="Avery Manager")
    for path in (*PAGES, f"/staff/patients/{booked.patient_id}"):
        each = await page.context.new_page()
        answers = watch_answers(each)
        await each.goto(path, wait_until="networkidle")
        assert len(answers) <= MOST_REQUESTS, path
        assert await weight(answers) <= LARGEST_PAGE, path


async def test_a_patients_token_finds_no_page_of_the_staff(site: Site) -> None:
    booked = await devon(site)
    visit = (await site.desk.get(f"/api/v1/visits/{booked.visit_id}")).json()
    token = visit["manage_url"].rpartition("/")[2]
    async with httpx.AsyncClient(base_url=site.url, headers={"Accept": "text/html"}) as patient:
        for path in (
            *PAGES,
            f"/staff/patients/{booked.patient_id}",
            "/staff/audit/file.csv",
            "/staff/reports/attendance.csv",
        ):
            assert (await patient.get(path, headers={"Authorization": f"Bearer {token}"})).status_code == 404
            assert (await patient.get(f"/m/{token}{path}")).status_code == 404
            assert (await patient.get(path)).headers["location"].startswith("/staff/sign-in")
