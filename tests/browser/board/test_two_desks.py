"""Boards that hear of each other: whatever happens shows within a second, and nothing that somebody does is lost."""

import asyncio
import re
import time
from datetime import timedelta

import httpx
from playwright.async_api import expect

from tests.acceptance.processes import free_port, start
from tests.browser.board.morning import Morning, OpenBoard, card, live, session_of
from tests.browser.desk import NAMED
from tests.integration.staffing import PASSWORD

# What the front desk was promised, in milliseconds.
SOON = 1_000

HERE, SURE = re.compile("s-here"), re.compile("s-sure")

# It is between nine and ten where the clinic is when a run begins, and the hour may turn before it ends.
CLOCK = r"(9|10):\d\d.AM"


async def test_what_one_desk_does_the_other_sees_within_a_second_and_goes_on_typing(
    morning: Morning, open_board: OpenBoard
) -> None:
    one, other = await open_board(), await open_board(f"{morning.address}?new=1")
    await live(other)
    await other.locator("#q").press_sequentially("jor")
    await card(one, morning, "Jordan").click()
    took: list[float] = []
    for button, look in (("Check in", HERE), ("Undo", SURE), ("Check in", HERE)):
        begins = time.perf_counter()
        await one.get_by_role("button", name=button).click()
        await expect(card(other, morning, "Jordan")).to_have_class(look)
        took.append(time.perf_counter() - begins)
    assert max(took) * 1000 < SOON, took
    await expect(other.locator("#q")).to_have_value("jor")
    await expect(other.locator("#q")).to_be_focused()
    await other.keyboard.type("dan")
    await expect(other.locator("#q")).to_have_value("jordan")
    await expect(one.locator("#did")).to_have_text("Checked in.")


async def test_what_other_software_and_patients_do_shows_within_a_second(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(f"{morning.address}?sel={morning.visits['Quinn']}&do=cancel")
    await live(page)
    await page.fill("#reason", "half a sentence")
    await morning.act("Micah", "confirm")
    await expect(card(page, morning, "Micah")).to_have_class(SURE, timeout=SOON)
    await morning.act("Ari", "cancel", {"reason": "by phone"})
    await expect(card(page, morning, "Ari")).to_have_count(0, timeout=SOON)
    await expect(page.locator("#cancelled")).to_contain_text("Ari K.")
    await expect(page.locator("#reason")).to_have_value("half a sentence")
    await expect(page.locator("#reason")).to_be_focused()


async def test_whoever_has_gone_on_to_another_day_hears_of_that_day(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(f"/staff/day/{morning.day - timedelta(days=1)}")
    await live(page)
    async with page.expect_request(f"**/staff/live/{morning.day}"):
        await page.get_by_role("link", name="Next day").click()
    await expect(card(page, morning, "Micah")).to_be_visible()
    await live(page)
    await morning.act("Micah", "confirm")
    await expect(card(page, morning, "Micah")).to_have_class(SURE, timeout=SOON)


async def test_an_online_booking_comes_in_new_is_said_once_and_moves_nothing(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(None, new=True)
    await page.clock.install()
    await page.goto(morning.address)
    await live(page)
    await card(page, morning, "Kai").focus()
    scroll = await page.locator("#schedule").evaluate("one => one.scrollTop")
    for name in ("Micah", "Tatum"):
        await morning.site.pool.execute(
            "update visits set created_by = 'public', version = version + 1 where id = $1", morning.visits[name]
        )
    await expect(card(page, morning, "Tatum")).to_have_class(re.compile("new"), timeout=SOON)
    await expect(page.locator("#announce")).to_be_empty()
    await page.clock.run_for(5_000)
    await expect(page.locator("#announce")).to_have_text(re.compile("new visits? .*booked online"))
    await expect(card(page, morning, "Kai")).to_be_focused()
    assert await page.locator("#schedule").evaluate("one => one.scrollTop") == scroll
    await card(page, morning, "Tatum").click()
    await expect(card(page, morning, "Tatum")).not_to_have_class(re.compile("new"))


async def test_whoever_is_slower_sees_who_was_faster_in_place_and_keeps_the_words(
    morning: Morning, open_board: OpenBoard
) -> None:
    slow = await open_board(None, new=True)
    # A line that is down: this screen hears of nothing.
    await slow.route("**/staff/live/**", lambda route: route.abort())
    await slow.goto(f"{morning.address}?sel={morning.visits['Ash']}&do=cancel")
    await slow.get_by_label("Weather or the building").check()
    await slow.fill("#reason", "Ice on the road")
    fast = await open_board(f"{morning.address}?move={morning.visits['Ash']}")
    await fast.get_by_role("button", name=re.compile("Move here, 2:30 PM with D. Marsh")).click()
    await expect(fast.locator("#did")).to_have_text("Moved.")
    await slow.get_by_role("button", name="Cancel the visit").click()
    await expect(slow.locator("#alert")).to_have_text(
        re.compile(rf"This visit was moved to 2:30.PM by B\.M\. at {CLOCK}\. Nothing changed\.")
    )
    await expect(slow.locator("#reason")).to_have_value("Ice on the road")
    await expect(slow.get_by_label("Weather or the building")).to_be_checked()
    await expect(slow.locator("#panel")).to_contain_text("2:30 to 3:15 PM with D. Marsh")
    assert await morning.status("Ash") == "booked"
    await expect(slow.get_by_role("link", name="Show it")).to_have_attribute(
        "href", f"{morning.address}?sel={morning.visits['Ash']}"
    )
    await slow.get_by_role("button", name="Cancel the visit").click()
    await expect(slow.locator("#did")).to_have_text("Canceled.")


async def test_an_answer_that_was_refused_stays_while_the_board_around_it_changes(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(f"{morning.address}?new=1&patient=new")
    await live(page)
    await page.fill("#family_name", "Fernweh")
    await page.get_by_role("button", name="Book", exact=True).click()
    await expect(page.locator("#panel .errors")).to_contain_text("Enter the first name")
    await page.fill("#given_name", "Kit")
    await morning.act("Micah", "confirm")
    await expect(card(page, morning, "Micah")).to_have_class(SURE, timeout=SOON)
    await expect(page.locator("#given_name")).to_have_value("Kit")
    await expect(page.locator("#panel .errors")).to_contain_text("Enter the first name")


async def test_a_server_that_is_killed_is_missed_and_the_board_comes_back_by_itself(
    morning: Morning, open_board: OpenBoard
) -> None:
    site, port = morning.site, free_port()
    web = await start("web", site.environment, site.log, port=port)
    page = await open_board(None, new=True)
    await page.context.add_cookies([{"name": "staff", "value": await session_of(page), "url": web.url}])
    await page.clock.install()
    await page.goto(f"{web.url}{morning.address}")
    await live(page)
    await web.kill()
    await page.clock.run_for(35_000)
    await expect(page.locator("#not-live")).to_have_text(re.compile(rf"Not live\. Last updated {CLOCK}\. Refresh"))
    await expect(page.locator("#live-words")).to_have_text("Not live")
    await morning.act("Micah", "confirm")
    again = await start("web", site.environment, site.log, port=port)
    try:
        # What waits for a timer waits for the network in between, and the server's own clock is not hurried.
        for _ in range(60):
            await page.clock.run_for(1_000)
            if await page.locator("#not-live").is_hidden():
                break
            await asyncio.sleep(0.05)
        await expect(card(page, morning, "Micah")).to_have_class(SURE)
        await expect(page.locator("#not-live")).to_be_hidden()
        await live(page)
    finally:
        await again.kill()


async def test_a_web_process_stops_at_once_however_many_boards_are_open(
    morning: Morning, open_board: OpenBoard
) -> None:
    site = morning.site
    page = await open_board()
    cookie = await session_of(page)
    web = await start("web", site.environment, site.log, port=free_port())
    async with httpx.AsyncClient(base_url=web.url, cookies={"staff": cookie}, timeout=10) as client:
        headers = {"Accept": "text/event-stream"}
        streams = [client.stream("GET", f"/staff/live/{morning.day}", headers=headers) for _ in range(5)]
        answers = [await stream.__aenter__() for stream in streams]
        assert {answer.status_code for answer in answers} == {200}
        begins = time.perf_counter()
        assert await web.stop() == 0
        assert time.perf_counter() - begins < 1.5
        for answer in answers:
            await answer.aclose()


async def test_the_stream_carries_dates_and_nothing_of_a_patient(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board()
    cookie = await session_of(page)
    heard: list[str] = []
    async with httpx.AsyncClient(base_url=morning.site.url, cookies={"staff": cookie}, timeout=10) as client:
        headers = {"Accept": "text/event-stream"}
        async with client.stream("GET", f"/staff/live/{morning.day}", headers=headers) as answer:
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-accel-buffering"] == "no"
            assert answer.headers["content-type"].startswith("text/event-stream")
            changes = asyncio.create_task(_change(morning))
            async for line in answer.aiter_lines():
                heard.append(line)
                if heard.count("event: board-changed") == 2:
                    break
            await changes
    text = "\n".join(heard)
    names = "|".join(morning.visits)
    assert not re.search(names, text)
    assert not NAMED.search(text)
    assert set(re.findall("(?m)^(event|data|id|retry): ", text)) == {"event", "data", "id", "retry"}
    assert set(re.findall(r"(?m)^data: (.*)$", text)) <= {str(morning.day), *re.findall(r"\d+:\d\d.[AP]M", text)}
    async with httpx.AsyncClient(base_url=morning.site.url) as stranger:
        assert (await stranger.get(f"/staff/live/{morning.day}", headers=headers)).status_code == 401


async def _change(morning: Morning) -> None:
    await morning.act("Micah", "confirm")
    await asyncio.sleep(0.6)
    await morning.act("Ari", "cancel", {"reason": "by phone"})


async def test_a_session_that_ended_leads_to_the_sign_in_and_back_to_the_same_place(
    morning: Morning, open_board: OpenBoard
) -> None:
    at = f"{morning.address}?sel={morning.visits['Jordan']}"
    page = await open_board(at, new=True)
    await live(page)
    await morning.site.pool.execute("update staff_sessions set ended_at = now()")
    # The board hears of a change, asks, and is told to sign in: nobody has to touch it.
    await morning.act("Micah", "confirm")
    await page.wait_for_url("**/staff/sign-in?next=*")
    await expect(page.locator("body")).not_to_contain_text("Jordan")
    await morning.site.pool.execute("update staff_accounts set totp_step = 0")
    await page.fill("#username", "ana")
    await page.fill("#password", PASSWORD)
    await page.get_by_role("button").first.click()
    assert "next=" in page.url
    assert f"sel%3D{morning.visits['Jordan']}" in page.url
