"""Every screen that a patient can meet, in every state it has: sound at every width, in both languages, in the dark.

``SCREENSHOTS`` names a folder into which a picture of each is put as well (``make screenshots``).
"""

import os
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from scheduler.domain.clinics import LANGUAGES, Language
from scheduler.services.limits import subject_of
from scheduler.web.pages.words import WORDS, speaker
from tests.acceptance.processes import ROOT, running
from tests.browser.conftest import SCREENSHOTS, OpenPage
from tests.browser.site import SECRET_KEY, Site
from tests.browser.steps import ASH, book, faults, fill, open_times, read_code, slot, submit, take
from tests.browser.visits import NEW_YORK, booked, moved_by_desk, press, start_in
from tests.simulators.database import CommitCutter

Walk = AsyncIterator[tuple[str, Page]]

# The pictures that the README shows, by screen.
BEST = {"types": "book-a-visit.png", "times": "pick-a-time.png", "done": "booked.png", "visit": "your-visit.png"}


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


async def proving(open_page: OpenPage, site: Site, language: Language) -> Walk:
    """The code by text that a clinic may want."""
    page = await open_page(language, lax=True)
    await site.decide("phone_code", True)
    try:
        await open_times(page, who="rivera")
        await take(page)
        while not await page.get_by_text(speaker(language)("phone.code")).count():
            await page.reload()
        yield "details-code", page
        await fill(page)
        await submit(page)
        await expect(page.locator("#code")).to_be_visible()
        yield "code", page
        await page.fill("#code", "12345")
        await submit(page)
        await expect(page.locator(".errors")).to_be_visible()
        yield "code-error", page
        await page.locator("[name=again]").click()
        await expect(page.get_by_role("status")).to_be_visible()
        yield "code-soon", page
        await page.fill("#code", await read_code(site))
        await submit(page)
        await expect(page.locator(".done")).to_be_visible()
    finally:
        await site.decide("phone_code", False)


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
    await open_times(page)
    await take(page)
    await page.locator("#also").evaluate("one => one.value = 'https://spam.example'")
    await submit(page)
    await expect(page.locator("h1")).to_have_text(say("by-phone.h1"))
    yield "by-phone", page
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
    await page.goto(f"/book/h/{UUID(int=1)}")
    yield "hold-not-found", page


async def failures(open_page: OpenPage, site: Site, language: Language) -> Walk:
    """The screens on which we do nothing: asked too often, or broken."""
    page = await open_page(language, lax=True, new=True)
    await page.set_extra_http_headers({"X-Forwarded-For": f"203.0.113.{LANGUAGES.index(language) + 20}"})
    client = subject_of(SECRET_KEY, "client", f"203.0.113.{LANGUAGES.index(language) + 20}")
    await site.pool.execute(
        """insert into rate_limits (clinic_id, name, subject, full_at)
        select id, 'reads', $1, now() + interval '5 minutes' from clinics""",
        client,
    )
    answer = await page.goto("/book")
    assert answer is not None
    assert answer.status == 429
    yield "too-often", page
    await page.set_extra_http_headers({"X-Forwarded-For": "203.0.113.8"})
    await site.pool.execute("alter table working_windows rename to lost_windows")
    try:
        answer = await page.goto("/book")
    finally:
        await site.pool.execute("alter table lost_windows rename to working_windows")
    assert answer is not None
    assert answer.status == 500
    yield "failed", page


async def own_visit(open_page: OpenPage, site: Site, language: Language) -> Walk:
    """The page of a private link, in every state of its visit."""
    say = speaker(language)
    link = await booked(site, language=language)
    await booked(site, language=language, ahead=40, kind="follow-up")
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
    await press(page, say("link.text"))
    await expect(page.get_by_role("status")).to_be_visible()
    yield "link-texted", page


WALKS: list[Callable[[OpenPage, Site, Language], Walk]] = [booking, instead, proving, refusals, failures, own_visit]


@pytest.mark.parametrize("walk", WALKS)
async def test_every_screen_is_sound_at_every_width_and_in_the_dark(
    open_page: OpenPage, site: Site, language: Language, walk: Callable[[OpenPage, Site, Language], Walk]
) -> None:
    wrong = {name: found async for name, page in walk(open_page, site, language) if (found := await look(page, name))}
    assert wrong == {}


async def test_a_service_that_is_stopped_on_purpose_or_lost_its_database_says_so(
    open_page: OpenPage, site: Site, tmp_path: Path
) -> None:
    pages = [await open_page(language, lax=True) for language in LANGUAGES]
    # What stands in the place of a stopped service needs no database.
    nowhere = {**site.environment, "DATABASE_URL": "postgresql://127.0.0.1:9/nothing"}
    async with (
        CommitCutter(site.dsn) as line,
        running("maintenance", nowhere, tmp_path / "maintenance.log", web=True) as stopped,
        running("web", {**site.environment, "DATABASE_URL": line.dsn}, tmp_path / "web.log", web=True) as web,
    ):
        await line.__aexit__()
        for page, name, address, seconds in [
            *((page, "maintenance", f"{stopped.url}/book/t/eval-run", "300") for page in pages),
            *((page, "busy", f"{web.url}/book/t/eval-run", "1") for page in pages),
        ]:
            answer = await page.goto(address)
            assert answer is not None
            assert (answer.status, (await answer.all_headers())["retry-after"]) == (503, seconds)
            assert await look(page, name) == []


async def test_the_printed_page_has_the_facts_and_no_buttons(open_page: OpenPage) -> None:
    page = await open_page(new=True)
    await book(page)
    await page.emulate_media(media="print")
    for shown in (".facts", ".then", ".done h1"):
        await expect(page.locator(shown)).to_be_visible()
    for hidden in (".actions", "header .tool >> nth=0", ".foot"):
        await expect(page.locator(hidden)).to_be_hidden()
    if folder := os.environ.get(SCREENSHOTS):
        await page.set_viewport_size({"width": 720, "height": 900})
        await page.screenshot(path=Path(folder) / "done.print.png", caret="initial")


async def look(page: Page, name: str) -> list[str]:
    """Return what is wrong with a screen, in either language; take its pictures where they are wanted."""
    language: Language = await page.locator("html").get_attribute("lang")  # pyright: ignore[reportAssignmentType]
    folder = os.environ.get(SCREENSHOTS)
    found = await faults(page, language, picture=str(Path(folder) / f"{name}.{language}") if folder else None)
    if folder and language == "en" and name in BEST:
        # As much of it as a telephone shows.
        await page.set_viewport_size({"width": 375, "height": 760})
        await page.evaluate("scrollTo(0, 0)")
        await page.screenshot(path=ROOT / "docs" / BEST[name], caret="initial")
    if language == "en":
        return found
    words = " ".join((await page.locator("body").inner_text()).split())
    return found + [text for text in _ENGLISH if re.search(rf"\b{re.escape(text)}\b", words)]


# What no page in Spanish may say. The other language goes by its own name.
_ENGLISH = [pair[0] for pair in WORDS.values() if pair[0] not in (pair[1], "English") and "{" not in pair[0]]
