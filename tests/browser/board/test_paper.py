"""A day on paper as lists: a page for each therapist, with a box to tick for each visit."""

import re

from playwright.async_api import Page, expect

from tests.browser.board.morning import DESK, Morning, OpenBoard
from tests.browser.desk import desk_faults
from tests.browser.steps import watch_policy


async def test_the_list_is_one_page_for_each_therapist_with_boxes_to_tick(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(None, new=True)
    broken = await watch_policy(page)
    await page.goto(morning.address)
    await page.get_by_role("link", name="List to print").click()
    await page.wait_for_url(f"**{morning.address}/list")
    shown = len(morning.visits) - 2
    await expect(page.locator(".sheet")).to_have_count(4)
    await expect(page.locator(".tickbox")).to_have_count(shown)
    came = await morning.site.pool.fetchval("select count(*) from visits where status in ('arrived', 'completed')")
    await expect(page.locator(".tickbox svg")).to_have_count(came)
    await expect(page.locator(".sheet").nth(1)).to_contain_text(re.compile("Rowan C.*Opted out, call", re.DOTALL))
    assert await pages(page) == 4
    await page.emulate_media(media="print", color_scheme="dark")
    await expect(page.locator(".bar, .above").first).to_be_hidden()
    await expect(page.locator("#print")).to_be_hidden()
    # Whoever has nobody that day needs no paper.
    await morning.site.pool.execute(
        "update visits set starts_at = starts_at - interval '7 days', ends_at = ends_at - interval '7 days' "
        "from therapists where therapists.id = therapist_id and code = 'lind'"
    )
    await page.reload()
    assert await pages(page) == 3
    assert broken == []


async def test_the_list_can_be_read_by_everybody_without_scripts_and_with_names_hidden(
    morning: Morning, open_board: OpenBoard
) -> None:
    plain = await open_board(f"{morning.address}/list", scripts=False)
    await expect(plain.locator("#print")).to_be_hidden()
    page = await open_board(f"{morning.address}/list", lax=True)
    await expect(page.get_by_role("button", name="Print a page")).to_be_visible()
    assert await desk_faults(page) == []
    await page.set_viewport_size(DESK)
    await page.locator(".me summary").click()
    await page.get_by_role("button", name="Hide names").click()
    await page.wait_for_url(f"**{morning.address}/list")
    assert not re.search("|".join(name for name in morning.visits if name != "held"), await page.content())
    seen = await morning.site.pool.fetchval("select count(*) from audit_events where action = 'board.listed'")
    assert seen, "who saw whose visits leaves a row"


async def pages(page: Page) -> int:
    """Return how many pages of paper a page takes."""
    paper = await page.pdf(prefer_css_page_size=True)
    return len(re.findall(rb"/Type\s*/Page[^s]", paper))
