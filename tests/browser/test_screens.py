"""Every screen that a patient can meet, in every state it has: sound at every width, in both languages, in the dark.

``SCREENSHOTS`` names a folder into which a picture of each is put as well (``make screenshots``).
"""

import os
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from scheduler.domain.clinics import Language
from scheduler.web.pages.words import WORDS, speaker
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.steps import ASH, faults, fill, open_times, slot, submit, take
from tests.browser.visits import NEW_YORK, booked, moved_by_desk, press, start_in

Walk = AsyncIterator[tuple[str, Page]]


async def booking(open_page: OpenPage, site: Site, language: Language) -> Walk:
    """The way to a visit, with all that can go wrong on it."""
    say = speaker(language)
    page = await open_page(language, lax=True)
    await page.goto("/book")
    yield "types", page
    await open_times(page)
    yield "times", page
    await page.locator(".chip.turn").last.click()
    yield "times-later", page
    await open_times(page, who="rivera")
    start = await slot(page).get_attribute("value")
    yield "times-of-one", page
    await take(page, start)
    yield "details", page
    await page.locator(".back").click()
    yield "times-holding", page
    await take(page, start)
    await submit(page)
    await expect(page.locator(".errors")).to_be_visible()
    yield "errors", page
    await fill(page, {**ASH, "phone": "201 555"}, texts=True)
    await submit(page)
    yield "one-error", page
    await fill(page)
    await site.pool.execute("update occupancy set expires_at = now() - interval '1 second' where kind = 'hold'")
    await page.locator("[formaction$='/extend']").click()
    await expect(page.locator(".hold")).to_contain_text(say("hold.over")[:30])
    yield "hold-over", page
    other = await open_page(language)
    await other.context.request.post("/book/holds", form={"type": "eval-run", "who": "rivera", "start": start or ""})
    await submit(page)
    await expect(page.locator(".note-amber")).to_be_visible()
    yield "just-taken", page
    await page.locator(".picked .linkish").click()
    await expect(page.locator(".options")).to_be_visible()
    yield "types-kept", page
    await page.locator(".option").first.click()
    await take(page)
    await submit(page)
    await expect(page.locator(".done")).to_be_visible()
    yield "done", page
    await site.text_in("+12015550142", "STOP")
    await page.reload()
    yield "done-stopped", page


async def instead(open_page: OpenPage, site: Site, language: Language) -> Walk:  # noqa: ARG001 - walks are alike
    """What there is beside booking: being called back, and what is explained."""
    page = await open_page(language, lax=True)
    await page.goto("/book")
    await page.locator(".option").last.click()
    await expect(page.locator("#details")).to_be_visible()
    yield "call", page
    await submit(page)
    await expect(page.locator(".errors")).to_be_visible()
    yield "call-errors", page
    await fill(page, {name: ASH[name] for name in ("given_name", "family_name", "phone")})
    await submit(page)
    await expect(page.locator(".done")).to_be_visible()
    yield "call-asked", page
    for name in ("privacy", "text-terms"):
        await page.goto(f"/{name}")
        yield name, page


async def refusals(open_page: OpenPage, site: Site, language: Language) -> Walk:
    """The screens on which nothing can be booked."""
    say = speaker(language)
    page = await open_page(language, lax=True)
    await open_times(page)
    hour = datetime.now(NEW_YORK).replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    await page.locator("button.slot").first.evaluate("(one, start) => one.value = start", hour.isoformat())
    await page.locator("button.slot").first.click()
    await expect(page.locator(".note-amber")).to_contain_text(say("toosoon"))
    yield "too-soon", page
    for name, who in (("nobody-but-others", "where code = 'okafor'"), ("nobody-at-all", "")):
        await site.pool.execute(
            f"""insert into time_off (clinic_id, id, therapist_id, during)
            select clinic_id, gen_random_uuid(), id, tstzrange(now() - interval '1 day', now() + interval '3 years')
            from therapists {who}"""
        )
        await open_times(page, who="okafor" if who else "any")
        yield name, page
    await page.goto("/book/nowhere")
    yield "not-found", page


async def own_visit(open_page: OpenPage, site: Site, language: Language) -> Walk:
    """The page of a private link, in every state of its visit."""
    say = speaker(language)
    link = await booked(site, language=language)
    page = await open_page(language, lax=True)
    await page.goto(link.url)
    yield "visit", page
    await press(page, say("visit.yes"))
    await expect(page.get_by_role("status")).to_be_visible()
    yield "visit-confirmed", page
    await page.goto(f"{link.url}/move")
    yield "visit-move", page
    await page.goto(f"{link.url}/cancel")
    yield "visit-cancel", page
    await press(page, say("cancel.do"))
    await expect(page.get_by_role("button", name=say("visit.undo"))).to_be_visible()
    yield "visit-cancelled", page
    await press(page, say("visit.undo"))
    await moved_by_desk(site, link)
    await page.goto(link.url)
    yield "visit-moved", page
    await start_in(site, link, 5)
    await page.goto(link.url)
    yield "visit-late", page
    await start_in(site, link, 5, booked_ago=timedelta(minutes=2))
    await page.goto(link.url)
    yield "visit-grace", page
    await site.text_in("+12015550142", "STOP")
    await start_in(site, link, -0.5)
    await page.goto(link.url)
    yield "visit-begun", page
    await start_in(site, link, -3)
    await page.goto(link.url)
    yield "visit-over", page
    await start_in(site, link, -100)
    await page.goto(link.url)
    yield "link-expired", page


WALKS: list[Callable[[OpenPage, Site, Language], Walk]] = [booking, instead, refusals, own_visit]


@pytest.mark.parametrize("walk", WALKS)
async def test_every_screen_is_sound_at_every_width(
    open_page: OpenPage, site: Site, language: Language, walk: Callable[[OpenPage, Site, Language], Walk]
) -> None:
    english = [pair[0] for pair in WORDS.values() if pair[0] != pair[1] and "{" not in pair[0]]
    wrong: dict[str, list[str]] = {}
    async for name, page in walk(open_page, site, language):
        found = await faults(page, language, picture=picture(language, name))
        if language != "en":
            words = " ".join((await page.locator("body").inner_text()).split())
            found += [text for text in english if text != "English" and re.search(rf"\b{re.escape(text)}\b", words)]
        if found:
            wrong[name] = found
    assert wrong == {}


def picture(language: Language, name: str) -> str | None:
    """Return where the pictures of a screen go, up to its width, if anywhere."""
    folder = os.environ.get("SCREENSHOTS")
    return str(Path(folder) / f"{name}.{language}") if folder else None
