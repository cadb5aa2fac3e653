"""How the board looks: everything in its place, readable by everybody, printable, and within its policy."""

import os
import re
from datetime import timedelta
from typing import Any

from playwright.async_api import expect

from tests.acceptance.processes import ROOT
from tests.browser.board.morning import DESK, Morning, OpenBoard, card, live
from tests.browser.conftest import SCREENSHOTS
from tests.browser.desk import desk_faults
from tests.browser.steps import watch_policy
from tests.phones import NUMBER


async def test_hidden_names_are_initials_on_the_whole_page(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(f"{morning.address}?sel={morning.visits['Jordan']}")
    await page.locator("#tools").get_by_role("button", name="Hide names").click()
    await expect(page.locator("#panel h2")).to_have_text("J.S.")
    text = await page.content()
    assert not re.search("|".join(name for name in morning.visits if name != "held"), text)
    assert not re.search(NUMBER, text)
    await page.locator("#tools").get_by_role("button", name="Show names").click()
    await expect(page.locator("#panel h2")).to_have_text("Jordan Sample")


async def test_every_card_lies_at_its_time_and_is_as_long(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board()
    places: list[dict[str, Any]] = await page.evaluate(
        """() => [...document.querySelectorAll('.column a.card')].map(one => {
            const style = getComputedStyle(one.parentElement);
            return {id: one.id, row: style.gridRowStart, rows: style.gridRowEnd, top: one.getBoundingClientRect().top,
                    high: one.getBoundingClientRect().height, words: one.textContent};
        })"""
    )
    rows = await morning.site.pool.fetch("select id, starts_at, ends_at from visits where status <> 'cancelled'")
    times = {f"v-{row['id'].hex[-12:]}": row for row in rows}
    assert len(places) == len(morning.visits) - 2
    for place in places:
        starts = morning.clinic.local(times[place["id"]]["starts_at"])
        minutes = (times[place["id"]]["ends_at"] - times[place["id"]]["starts_at"]).total_seconds() / 60
        assert place["row"] == str((starts.hour - 7) * 12 + starts.minute // 5 + 1), place
        assert place["rows"] == f"span {round(minutes / 5)}", place
        assert f"{starts.hour % 12 or 12}:{starts.minute:02}" in place["words"]
        assert abs(place["high"] - minutes * 68 / 60) < 3, place


async def test_a_card_says_who_how_far_when_what_and_whether_they_were_reached(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(morning.address)
    for name in (
        "Jordan S., Confirmed, 9:45 to 10:45 AM, First visit, Text delivered",
        "Quinn D., Not confirmed, 12:45 to 1:30 PM, Follow-up visit, Text delivered",
        "Devon H., Not confirmed, 1:30 to 2:30 PM, First visit, Text failed",
        "Rowan C., Not confirmed, 1:45 to 2:30 PM, Follow-up visit, Opted out, call",
    ):
        # Parts that lie below each other are read with a space between.
        said = re.compile("^" + re.escape(name).replace(",", " ?,") + "$")
        await expect(page.get_by_role("link", name=said)).to_be_visible()


async def test_two_at_one_time_lie_side_by_side(morning: Morning, open_board: OpenBoard) -> None:
    await morning.site.pool.execute(
        "update visits set starts_at = other.starts_at, ends_at = other.ends_at, overbook_reason = 'imported' "
        "from visits as other where other.id = $1 and visits.id = $2",
        morning.visits["Ash"], morning.visits["Morgan"],
    )  # fmt: skip
    page = await open_board()
    boxes = [await card(page, morning, name).bounding_box() for name in ("Ash", "Morgan")]
    left, right = sorted((box for box in boxes if box), key=lambda box: box["x"])
    assert left["x"] + left["width"] <= right["x"] + 1
    assert abs(left["width"] - right["width"]) < 3
    assert left["y"] == right["y"]


async def test_the_printed_day_is_one_page_without_buttons(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board()
    paper = await page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page[^s]", paper)) == 1
    await page.emulate_media(media="print")
    await expect(card(page, morning, "Jordan")).to_be_visible()
    for hidden in ("#rail", ".gap >> nth=0", ".tools .ends", ".bar"):
        await expect(page.locator(hidden).first).to_be_hidden()
    await page.emulate_media(media="screen")


async def test_what_a_desk_needs_is_in_sight(morning: Morning, open_board: OpenBoard) -> None:
    """With ``make screenshots`` it becomes the picture of docs/board.md."""
    page = await open_board(f"{morning.address}?sel={morning.visits['Jordan']}")
    await live(page)
    tools = await page.locator("#tools").bounding_box()
    assert tools
    assert tools["height"] < 60, "in one row"
    for sight in ("#now", "#panel", "#messages .figures", "#find-q"):
        await expect(page.locator(sight).first).to_be_in_viewport()
    if os.environ.get(SCREENSHOTS):
        # It is morning somewhere else than at the clinic of the sample, whose zone the picture has.
        await page.locator(".corner").evaluate("one => one.textContent = 'Eastern'")
        await page.screenshot(path=ROOT / "docs" / "board.png", scale="css")


async def states(morning: Morning) -> dict[str, str]:
    """Return the addresses of everything that the board may show."""
    at, visit = morning.address, morning.visits["Jordan"]
    away = await morning.site.desk.post(
        "/api/v1/therapists/rivera/time-off",
        json={
            "from": f"{morning.day}T13:00:00Z",
            "to": f"{morning.day + timedelta(days=1)}T13:00:00Z",
            "reason": "course",
        },
    )
    closed = morning.day + timedelta(days=3)
    await morning.site.desk.put(f"/api/v1/closures/{closed}", json={"windows": [], "reason": "Holiday"})
    return {
        "day": at,
        "visit": f"{at}?sel={visit}&did=confirm",
        "cancel": f"{at}?sel={visit}&do=cancel",
        "note": f"{at}?sel={visit}&do=note",
        "move": f"{at}?move={visit}",
        "who": f"{at}?new=1&who=marsh&at={morning.day}T13:45:00Z",
        "new": f"{at}?new=1&patient=new",
        "find": f"{at}?find=1&kind=eval&after=10:00",
        "block": f"{at}?block=rivera",
        "away": f"{at}?away={away.json()['id']}&who=rivera",
        "gone": f"{at}?sel={closed}",
        "closed": f"/staff/day/{closed}",
        "empty": f"/staff/day/{morning.day + timedelta(days=60)}",
        "week": f"/staff/week/rivera/{morning.day}",
    }


async def test_every_state_is_accessible_at_a_desk_and_on_a_telephone_in_light_and_dark(
    morning: Morning, open_board: OpenBoard
) -> None:
    page = await open_board(None, lax=True)
    found: list[str] = []
    for name, address in (await states(morning)).items():
        await page.goto(address)
        found += [f"{name}: {fault}" for fault in await desk_faults(page)]
    await page.set_viewport_size(DESK)
    await page.goto(morning.address)
    await page.locator("#tools").get_by_role("button", name="Hide names").click()
    await expect(page.locator("#tools").get_by_role("button", name="Show names")).to_be_visible()
    found += [f"hidden names: {fault}" for fault in await desk_faults(page)]
    assert found == []


async def test_refusals_are_accessible_too(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(f"{morning.address}?new=1&patient=new", lax=True)
    await page.get_by_role("button", name="Book", exact=True).click()
    await expect(page.locator("#panel .errors")).to_be_visible()
    assert await desk_faults(page) == []
    await page.set_viewport_size(DESK)
    await page.goto(f"{morning.address}?new=1&patient=new")
    for name, value in {"given_name": "Kit", "family_name": "Fern", "phone": "201 555 0177", "time": "11:00"}.items():
        await page.fill(f"#{name}", value)
    await page.select_option("#who", "rivera")
    await page.get_by_role("button", name="Book", exact=True).click()
    await expect(page.locator("#panel .refusal")).to_contain_text("Nothing was booked.")
    assert await desk_faults(page) == []


async def test_no_state_breaks_the_policy_or_asks_for_more_than_it_may(morning: Morning, open_board: OpenBoard) -> None:
    page = await open_board(None, new=True)
    broken = await watch_policy(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for address in (await states(morning)).values():
        asked.clear()
        await page.goto(address)
        await live(page)
        assert await page.locator("[style], style").count() == 0
        # The page, its style, an icon, its script, the stream, and the day once more when the stream begins.
        assert len(asked) <= 6, asked
        assert all(url.startswith(morning.site.url) for url in asked)
    assert broken == []
