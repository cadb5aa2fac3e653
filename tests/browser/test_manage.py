"""A visit by its private link, in a real browser: what its patient sees and does, and what nobody else learns."""

import asyncio
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from scheduler.domain.clinics import Language
from scheduler.web.pages.words import speaker
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.steps import slot, watch_policy
from tests.browser.visits import Link, booked, day_ahead, press, row, start_in

# Programs that follow the links in messages before their readers do.
SCANNERS = ("Barracuda Sentinel", "GoogleImageProxy", "Mozilla/5.0 (compatible; ms-office; MSOffice 16)", "curl/8.0")


@pytest.fixture
async def link(site: Site) -> Link:
    return await booked(site)


async def test_looking_changes_nothing_whoever_looks(open_page: OpenPage, site: Site, link: Link) -> None:
    before = await row(site, link)
    page = await open_page()
    request = page.context.request
    for agent in SCANNERS:
        for method in ("GET", "HEAD"):
            for more in ("", ".ics", "/cancel", "/move", "/confirm", "/undo", "/preferences"):
                answer = await request.fetch(link.url + more, method=method, headers={"User-Agent": agent})
                assert answer.status == 200, more
    for _ in range(5):
        await page.goto(link.url)
    assert await row(site, link) == before
    assert await site.pool.fetchval("select count(*) from audit_events where actor = 'patient'") == 0


async def test_confirming_is_one_tap_and_is_said_aloud(
    open_page: OpenPage, site: Site, link: Link, visitor: tuple[Language, bool]
) -> None:
    language, scripts = visitor
    page = await open_page(language, scripts=scripts)
    await page.goto(f"{link.url}?lang={language}")
    say = speaker(language)
    button = page.get_by_role("button", name=say("visit.yes"), exact=True)
    form: dict[str, Any] = {
        one: await page.locator(f'form[action$="/confirm"] [name="{one}"]').input_value() for one in ("key", "version")
    }
    await button.click()
    await expect(page.get_by_role("status")).to_have_text(say("visit.did.confirmed", when=link.when(language)))
    await expect(page.locator(".when .tag")).to_have_text(say("visit.confirmed"))
    # The same form once more, as from a slow telephone, changes nothing and says the same.
    again = await page.context.request.post(f"{link.url}/confirm", form=form, max_redirects=0)
    assert (again.status, again.headers["location"].partition("?")[2]) == (303, "did=confirmed")
    assert (await row(site, link))["version"] == 2


async def test_moving_keeps_the_old_time_until_the_new_one_is_taken(
    open_page: OpenPage, site: Site, link: Link, scripts: bool
) -> None:
    page = await open_page(scripts=scripts)
    await page.goto(link.url)
    await page.get_by_role("link", name="Reschedule").click()
    await expect(page.locator(".lead")).to_have_text(
        f"Your visit stays on {link.when()} until you choose another time."
    )
    button = page.locator("button.slot").nth(3)
    chosen = datetime.fromisoformat(await button.get_attribute("value") or "")
    assert (await row(site, link))["starts_at"] == link.starts_at
    await button.click()
    await expect(page.get_by_role("status")).to_contain_text("Your visit is now")
    assert (await row(site, link))["starts_at"] == chosen


async def test_two_who_move_to_one_time_end_with_one_visit_each(open_page: OpenPage, site: Site) -> None:
    links = [await booked(site), await booked(site, number=6, given_name="Bo", phone="201 555 0143", email=None)]
    pages = [await open_page(), await open_page()]
    for number in range(3):
        # Another week each time, so that neither visit is in the way of the other's.
        slots = await site.slots(first=day_ahead(40 + number * 7), until=day_ahead(47 + number * 7), therapist="rivera")
        start = slots[0]["starts_at"]
        for page, link in zip(pages, links, strict=True):
            await page.goto(f"{link.url}/move?day={start[:10]}")
        await asyncio.gather(*(slot(page, start).click() for page in pages))
        await asyncio.gather(*(expect(page.locator("[role=status], .note-amber")).to_be_visible() for page in pages))
        lost = [page for page in pages if await page.locator("[role=alert]").count()]
        assert len(lost) == 1
        await expect(lost[0].locator("[role=alert]")).to_contain_text("Your visit has not changed.")
        await expect(lost[0].locator("[role=alert]")).to_be_focused()
        places = await site.pool.fetch("select starts_at, therapist_id from visits where status = 'booked'")
        assert len({tuple(place) for place in places}) == 2
        assert await site.pool.fetchval("select count(*) from occupancy") == 8, "therapist, room, treadmill, patient"


async def test_inside_the_notice_only_the_telephone_changes_a_visit(
    open_page: OpenPage, site: Site, link: Link, scripts: bool
) -> None:
    page = await open_page(scripts=scripts)
    await page.goto(f"{link.url}/move")
    forms = {"move": await _hidden(page, "move")}
    forms["move"]["start"] = await slot(page).get_attribute("value") or ""
    await page.goto(f"{link.url}/cancel")
    forms["cancel"] = await _hidden(page, "cancel")
    await start_in(site, link, 5)
    await page.goto(link.url)
    await expect(page.locator(".note-amber")).to_contain_text("Your visit is less than 24 hours away.")
    for words in ("Reschedule", "Cancel visit"):
        assert await page.get_by_text(words, exact=True).count() == 0
    await expect(page.get_by_role("link", name="Call to change")).to_have_attribute("href", "tel:2017911100")
    for action, form in forms.items():
        answer = await page.context.request.post(f"{link.url}/{action}", form=form, max_redirects=0)
        assert answer.status == 409
        assert "(201) 791-1100" in await answer.text()
    assert (await row(site, link))["status"] == "booked"
    # Whoever comes may say so at any time.
    await press(page, "Yes, I’ll be there")
    await expect(page.locator(".when .tag")).to_have_text("Confirmed")


async def test_a_visit_just_booked_can_be_undone_and_that_too(
    open_page: OpenPage, site: Site, link: Link, scripts: bool
) -> None:
    await start_in(site, link, 5)
    await site.pool.execute("update visits set booked_at = now() - interval '2 minutes'")
    page = await open_page(scripts=scripts)
    await page.goto(link.url)
    await expect(page.locator(".note")).to_contain_text("You have just booked this visit")
    await page.get_by_role("link", name="Cancel visit").click()
    await page.get_by_label("I can’t get there").check()
    await press(page, "Cancel this visit")
    await expect(page.locator(".when .tag")).to_have_text("Canceled")
    assert (await row(site, link))["cancel_reason"] == "Canceled online by the patient: cannot get there"
    await page.reload()
    assert (await row(site, link))["status"] == "cancelled"


async def test_a_cancellation_is_taken_back_within_minutes(open_page: OpenPage, site: Site, link: Link) -> None:
    page = await open_page()
    await page.goto(f"{link.url}/cancel")
    await press(page, "Cancel this visit")
    await press(page, "Undo: keep this visit")
    await expect(page.get_by_role("status")).to_contain_text(f"Your visit is back: {link.when()}")
    assert (await row(site, link))["status"] == "booked"


async def test_an_old_link_and_an_invented_one_look_the_same(open_page: OpenPage, site: Site, link: Link) -> None:
    page = await open_page()
    await start_in(site, link, -100)
    seen: list[tuple[int, str]] = []
    for url in (link.url, link.url[:-4] + "aaaa", f"{site.url}/m/x"):
        answer = await page.goto(url)
        assert answer is not None
        seen.append((answer.status, await page.content()))
    assert len(set(seen)) == 1
    assert seen[0][0] == 404
    await expect(page.locator("h1")).to_have_text("This link no longer works")
    await expect(page.locator("main a[href^='tel:']")).to_be_visible()


async def test_an_old_link_has_a_new_one_texted(open_page: OpenPage, site: Site, link: Link, scripts: bool) -> None:
    coming = await booked(site, ahead=40, kind="follow-up")
    page = await open_page(scripts=scripts)
    await start_in(site, link, -100)
    await page.goto(f"{link.url}/move")
    await press(page, "Text me a new link")
    await expect(page.get_by_role("status")).to_contain_text("If you have a visit coming up")
    texted = await site.pool.fetch("select visit_id, address from messages where template = 'new_link'")
    assert [(str(one["visit_id"]), one["address"]) for one in texted] == [(coming.id, "+12015550142")]


async def test_one_link_leads_to_the_others(open_page: OpenPage, site: Site, link: Link) -> None:
    other = await booked(site, ahead=40, kind="follow-up")
    page = await open_page(scripts=False)
    await page.goto(link.url)
    await page.locator(".others a").click()
    await expect(page).to_have_url(other.url)
    await expect(page.locator(".when .big")).to_have_text(other.when())


async def test_no_answer_of_a_link_is_kept_passed_on_or_found(open_page: OpenPage, link: Link) -> None:
    page = await open_page()
    for more in ("", "/move", "/cancel", ".ics", "x"):
        headers = (await page.context.request.get(link.url + more)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-robots-tag"] == "noindex"


async def test_a_patient_who_chooses_spanish_is_written_to_in_spanish(
    open_page: OpenPage, site: Site, link: Link, scripts: bool
) -> None:
    page = await open_page(scripts=scripts)
    await page.goto(link.url)
    await press(page, "Español")
    await expect(page.locator("html")).to_have_attribute("lang", "es")
    await expect(page.locator("h1")).to_have_text("Su cita")
    await press(page, "Sí, asistiré")
    await expect(page.get_by_role("status")).to_contain_text("Confirmó su cita")
    planned = await site.pool.fetch("select distinct language from messages where state = 'pending'")
    assert [one["language"] for one in planned] == ["es"]
    # The next text, as it would go out now.
    messages = (await site.desk.get("/api/v1/messages", params={"visit_id": link.id, "channel": "sms"})).json()["items"]
    reminder = next(one for one in messages if one["kind"] == "reminder")
    assert "visita" in reminder["text"] or "cita" in reminder["text"]
    # The page speaks Spanish in another browser as well, which has no cookie.
    other = await open_page()
    await other.goto(link.url)
    await expect(other.locator("html")).to_have_attribute("lang", "es")


async def test_no_page_of_a_link_breaks_its_policy_or_asks_strangers(
    open_page: OpenPage, site: Site, link: Link
) -> None:
    page = await open_page(new=True)
    broken = await watch_policy(page)
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    for more in ("", "/move", "/cancel", "?lang=es"):
        await page.goto(link.url + more, wait_until="networkidle")
        assert await page.evaluate("document.referrer") == ""
    await expect(page.get_by_role("link", name="Cómo llegar")).to_have_attribute("rel", "noreferrer")
    assert asked == {urlsplit(site.url).netloc}
    assert broken == []


async def test_a_stop_by_text_is_on_the_page_after_one_reload(open_page: OpenPage, site: Site, link: Link) -> None:
    page = await open_page()
    await page.goto(link.url)
    await expect(page.locator(".choices")).to_contain_text(
        "Texts about your visits are on for the number ending in 42."
    )
    await site.text_in("+12015550142", "STOP")
    await page.reload()
    await expect(page.locator(".choices")).to_contain_text("Texts are off. Text START to turn them on.")
    assert await page.get_by_role("button", name=re.compile("Turn texts on")).count() == 0
    await site.text_in("+12015550142", "START")
    await page.reload()
    await expect(page.locator(".choices")).to_contain_text("Texts about your visits are on")


async def _hidden(page: Page, action: str) -> dict[str, Any]:
    """Return what the form of an action sends by itself."""
    fields = await page.locator(f'form[action$="/{action}"] input[type="hidden"]').all()
    return {await one.get_attribute("name") or "": await one.input_value() for one in fields}
