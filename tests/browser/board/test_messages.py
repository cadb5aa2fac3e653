"""What the board says of messages: how many need a person, what became of today's, and what is done about a failure."""

import re

from playwright.async_api import expect

from scheduler.ids import new_id
from tests.browser.board.morning import Morning, OpenBoard, card, live

SURE = re.compile("s-sure")


async def test_a_text_that_failed_is_seen_to_from_the_board_and_put_back(
    morning: Morning, open_board: OpenBoard, scripts: bool
) -> None:
    page = await open_board(scripts=scripts)
    box, count = page.locator("#messages"), page.locator(".places .count")
    sent = await morning.site.pool.fetchval("select count(*) from messages")
    await expect(box).to_contain_text(f"{sent} sent")
    await expect(box.locator(".figures")).to_have_text(re.compile(rf"{sent - 2} delivered\s*1 on its way\s*1 failed"))
    await expect(box.locator(".rows")).to_contain_text("Text failed: This number is a landline")
    await expect(count).to_have_text("1")
    await expect(card(page, morning, "Devon")).to_contain_text("Text failed")
    await box.get_by_role("button", name="Called Devon H.").click()
    await expect(page.locator("#did")).to_have_text("Marked as called.")
    await expect(count).to_have_count(0)
    await expect(card(page, morning, "Devon")).not_to_contain_text("Text failed")
    assert await morning.site.pool.fetchval("select count(*) from audit_events where action = 'message.handled'") == 1
    await box.get_by_role("button", name="Undo").click()
    await expect(page.locator("#did")).to_have_text("Back on the list.")
    await expect(count).to_have_text("1")
    await box.locator(".rows a").first.click()
    await expect(page.locator("#panel h2")).to_have_text("Devon Hale")
    assert page.url.split("/staff")[0] == morning.site.url


async def test_a_number_that_is_no_good_is_mended_where_it_is_seen(morning: Morning, open_board: OpenBoard) -> None:
    await morning.site.pool.execute(
        """insert into unreachable_addresses (clinic_id, channel, address, reason)
        select clinic_id, channel, address, reason from messages where state = 'undelivered'"""
    )
    page = await open_board()
    await page.locator("#messages").get_by_role("link", name="Fix number of Devon H.").click()
    await expect(page.locator("h1")).to_have_text("Fix number")


async def test_what_comes_to_need_a_person_is_counted_on_an_open_board(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(f"{morning.address}?new=1")
    await live(page)
    await page.fill("#q", "half")
    await expect(page.locator(".places .count")).to_have_text("1")
    await morning.site.pool.execute(
        """insert into desk_tasks (clinic_id, id, kind, subject_id, reason)
        select id, $1, 'call-back', $1, 'Asked to be called.' from clinics""",
        new_id(),
    )
    await morning.act("Micah", "confirm")
    await expect(card(page, morning, "Micah")).to_have_class(SURE, timeout=1_000)
    await expect(page.locator(".places .count")).to_have_text("2")
    await expect(page.locator("#q")).to_have_value("half")
    await page.goto("/staff/reports")
    await expect(page.locator(".places .count")).to_have_text("2")


async def test_other_days_and_therapists(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(role="therapist")
    await expect(page.locator("#messages .rows")).to_contain_text("Devon H.")
    await expect(page.locator("#messages button")).to_have_count(0)
    await page.goto(f"/staff/week/rivera/{morning.day}")
    await expect(page.locator("#messages")).to_have_count(0)
