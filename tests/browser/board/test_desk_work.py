"""A day's work at the desk: with a mouse, with the keyboard alone, and without any script."""

import re

from playwright.async_api import expect

from tests.browser.board.morning import Morning, OpenBoard, card, has_focus, live, tab_to
from tests.browser.steps import watch_policy

HERE, SURE = re.compile("s-here"), re.compile("s-sure")


async def test_a_day_at_the_desk(morning: Morning, open_board: OpenBoard, scripts: bool) -> None:
    page = await open_board(scripts=scripts)
    broken = await watch_policy(page) if scripts else []
    # Check in, and take it back.
    await card(page, morning, "Jordan").click()
    await page.get_by_role("button", name="Check in").click()
    await expect(card(page, morning, "Jordan")).to_have_class(HERE)
    await page.get_by_role("button", name="Undo").click()
    await expect(card(page, morning, "Jordan")).to_have_class(SURE)
    # Move somebody else to a gap.
    await card(page, morning, "Ash").click()
    await expect(page.locator("#panel h2")).to_have_text("Ash Winter")
    await page.locator("#panel").get_by_role("link", name="Move").click()
    await page.get_by_role("button", name=re.compile("Move here, 1:45")).first.click()
    await expect(page.locator("#did")).to_have_text("Moved.")
    # Cancel, with a reason.
    await card(page, morning, "Quinn").click()
    await expect(page.locator("#panel h2")).to_have_text("Quinn Dorn")
    await page.locator("#panel").get_by_role("link", name="Cancel").click()
    await page.get_by_label("Weather or the building").check()
    await page.fill("#reason", "Ice on the road")
    await page.get_by_role("button", name="Cancel the visit").click()
    await expect(page.locator("#cancelled")).to_contain_text("Weather or the building: Ice on the road")
    # Book the gap that this leaves, for somebody who is on file.
    await page.get_by_role("link", name=re.compile("Open 45 min from 12:45 PM with Dr. A. Rivera")).click()
    await page.fill("#q", "winter")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("link", name="Choose Ash Winter").click()
    await page.get_by_role("button", name="Book", exact=True).click()
    await expect(page.locator("#did")).to_have_text("Booked.")
    assert await morning.site.pool.fetchval("select count(*) from visits where created_by like 'staff:%'") == 1
    assert broken == []


async def test_a_day_at_the_desk_with_the_keyboard_alone(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board()
    await live(page)
    await tab_to(page, ".column a")
    await page.keyboard.press("End")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Home")
    for _ in range(8):
        if await has_focus(page, morning.key("Jordan")):
            break
        await page.keyboard.press("ArrowDown")
    await expect(card(page, morning, "Jordan")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    assert await has_focus(page, f"{morning.key('Sam')}, {morning.key('Blake')}"), "the nearest in the next column"
    await page.keyboard.press("ArrowLeft")
    await expect(card(page, morning, "Jordan")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_be_focused()
    await tab_to(page, "#panel button")
    await page.keyboard.press("Enter")
    await expect(card(page, morning, "Jordan")).to_have_class(HERE)
    # Esc closes what is open and the focus is back where it was.
    await page.keyboard.press("Escape")
    await expect(page.locator("#panel")).to_have_count(0)
    await expect(card(page, morning, "Jordan")).to_be_focused()
    # Move somebody.
    await card(page, morning, "Morgan").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_be_focused()
    await tab_to(page, "#panel a[href*=move]")
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_be_focused()
    await page.locator(".gap-move").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#did")).to_have_text("Moved.")


async def test_cancelling_and_booking_with_the_keyboard_alone(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board()
    await live(page)
    await tab_to(page, morning.key("Quinn"))
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_be_focused()
    await tab_to(page, "#panel a[href*='do=cancel']")
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel #reason")).to_be_visible()
    await tab_to(page, "#panel [name=why]")
    await page.keyboard.press("ArrowDown")
    await tab_to(page, "#reason")
    await page.keyboard.type("Ice on the road")
    await tab_to(page, "#panel button.red")
    await page.keyboard.press("Enter")
    await expect(page.locator("#did")).to_have_text("Canceled.")
    await page.keyboard.press("Escape")
    await expect(page.locator("#panel")).to_have_count(0)
    # The time that this leaves is taken by somebody else.
    await tab_to(page, ".column .gap-open", most=120)
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_be_focused()
    await tab_to(page, "#q")
    await page.keyboard.type("winter")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Choose Ash Winter")).to_be_visible()
    await tab_to(page, "#found a", most=120)
    await page.keyboard.press("Enter")
    await expect(page.locator("#panel h2")).to_have_text("Ash Winter")
    await tab_to(page, "#panel button.main")
    await page.keyboard.press("Enter")
    await expect(page.locator("#did")).to_have_text("Booked.")


async def test_back_shows_what_was_shown(morning: Morning, open_board: OpenBoard, scripts: bool) -> None:
    page = await open_board(scripts=scripts)
    await card(page, morning, "Ash").click()
    await expect(page.locator("#panel h2")).to_have_text("Ash Winter")
    await page.locator("#panel").get_by_role("link", name="Move").click()
    await expect(page.locator(".gap-move").first).to_be_visible()
    await page.go_back()
    await expect(page.locator("#panel h2")).to_have_text("Ash Winter")
    await expect(page.locator(".gap-move")).to_have_count(0)
    await page.go_back()
    await expect(page.locator("#panel")).to_have_count(0)
    await page.go_forward()
    await expect(page.locator("#panel h2")).to_have_text("Ash Winter")
