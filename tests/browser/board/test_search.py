"""Patients found from the board: while somebody types, with the keyboard alone, and without any script."""

import re

from playwright.async_api import expect

from tests.browser.board.morning import DESK, Morning, OpenBoard, card, has_focus, live
from tests.browser.desk import desk_faults
from tests.browser.steps import watch_policy

SURE = re.compile("s-sure")


async def test_who_types_a_name_is_shown_who_it_may_be_and_no_address_tells(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(None, new=True)
    broken = await watch_policy(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(morning.address)
    await live(page)
    await page.keyboard.press("/")
    await expect(page.locator("#find-q")).to_be_focused()
    asked.clear()
    await page.keyboard.type("wint", delay=20)
    await expect(page.locator("#finds p")).to_have_text("1 found")
    await expect(page.locator("#announce")).to_have_text("1 found")
    assert len([url for url in asked if url.endswith("/staff/patients/search")]) <= 2, "each letter is not a search"
    listed = await morning.site.pool.fetchval("select details from audit_events where action = 'patients.listed'")
    assert listed
    # Esc closes the list and leaves what was typed; the arrow and Enter lead to the card.
    await page.keyboard.press("Escape")
    await expect(page.locator("#finds")).to_be_hidden()
    await expect(page.locator("#find-q")).to_have_value("wint")
    await page.keyboard.type("er")
    await expect(page.locator("#finds a")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    assert await has_focus(page, "#finds a")
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text("Ash Winter")
    assert not [url for url in asked if re.search("wint", url, re.IGNORECASE)]
    assert broken == []


async def test_a_half_typed_search_outlives_whatever_happens_on_the_board(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board()
    await live(page)
    await page.locator("#find-q").press_sequentially("win")
    await expect(page.locator("#finds a")).to_have_count(1)
    await morning.act("Micah", "confirm")
    await expect(card(page, morning, "Micah")).to_have_class(SURE, timeout=1_000)
    await expect(page.locator("#find-q")).to_be_focused()
    await expect(page.locator("#finds a")).to_be_visible()
    await page.keyboard.type("ter")
    await expect(page.locator("#find-q")).to_have_value("winter")
    # Whoever opens a visit meanwhile has not typed in vain.
    await card(page, morning, "Jordan").click()
    await expect(page.locator("#panel h2")).to_have_text("Jordan Sample")
    await expect(page.locator("#find-q")).to_have_value("winter")
    await expect(page.locator("#finds")).to_be_hidden()


async def test_nobody_and_too_many_are_said_and_whoever_is_new_is_added_by_what_was_typed(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(lax=True)
    await morning.site.pool.execute(
        """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
        select id, gen_random_uuid(), 'Kit', 'Multi' || n, 'multi' || n || E'\\x1f' || 'kit',
            '+1201555' || (1000 + n), 'en' from clinics, generate_series(1, 38) as n"""
    )
    await page.fill("#find-q", "multi")
    await expect(page.locator("#finds p")).to_have_text("Keep typing, 38 matches")
    await expect(page.locator("#finds a")).to_have_count(10)
    assert await desk_faults(page) == []
    await page.set_viewport_size(DESK)
    await page.fill("#find-q", "m")
    await expect(page.locator("#finds p")).to_have_text("Type at least 2 letters of a name.")
    await page.fill("#find-q", "")
    await expect(page.locator("#finds")).to_be_hidden()
    await page.fill("#find-q", "kim fernweh")
    await expect(page.locator("#finds p")).to_have_text("No patient found. Add Kim F.?")
    await page.locator("#finds a").click()
    await expect(page.locator("#given_name")).to_have_value("Kim")
    await expect(page.locator("#family_name")).to_have_value("Fernweh")
    assert "ernweh" not in page.url


async def test_without_scripts_and_elsewhere_enter_leads_to_the_page_of_patients(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(scripts=False)
    for address in (morning.address, "/staff/messages", "/staff/account"):
        await page.goto(address)
        await page.fill("#find-q", "winter")
        await page.press("#find-q", "Enter")
        await page.wait_for_url("**/staff/patients")
        await expect(page.locator(".people a")).to_have_count(1)


async def test_the_key_can_be_switched_off_and_names_stay_hidden(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board()
    await page.locator(".me summary").click()
    await page.get_by_role("button", name="Turn off the / key").click()
    await expect(page.get_by_role("button", name="Turn on the / key", include_hidden=True)).to_have_count(1)
    await live(page)
    await page.locator("#schedule").focus()
    await page.keyboard.press("/")
    assert not await has_focus(page, "#find-q")
    await page.locator("#tools").get_by_role("button", name="Hide names").click()
    # The menu that is opened before the answer closes with it.
    await expect(page.locator("#tools").get_by_role("button", name="Show names")).to_be_visible()
    await page.locator(".me summary").click()
    await page.get_by_role("button", name="Turn on the / key").click()
    await expect(page.get_by_role("button", name="Turn off the / key", include_hidden=True)).to_have_count(1)
    await page.locator("#schedule").focus()
    await page.keyboard.press("/")
    await page.keyboard.type("winter")
    await expect(page.locator("#finds a")).to_have_text(re.compile(r"A\.W\..*ending in \d\d"))
    # Within another field it is a letter like any other.
    await page.goto(f"{morning.address}?new=1")
    await page.fill("#q", "")
    await page.locator("#q").press_sequentially("a/b")
    await expect(page.locator("#q")).to_have_value("a/b")


async def test_a_therapist_only_looks_and_has_no_search(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(role="therapist")
    await live(page)
    await expect(page.locator("#find")).to_have_count(0)
    await page.keyboard.press("/")
    await card(page, morning, "Jordan").click()
    await expect(page.locator("#panel h2")).to_be_visible()
