"""A front desk at twenty past nine on a full day: what is on its board, and how people there find their way."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from playwright.async_api import Locator, Page, ViewportSize, expect

from scheduler.domain.clinics import Clinic
from tests.browser.site import Site

DESK: ViewportSize = {"width": 1280, "height": 900}

OpenBoard = Callable[..., Awaitable[Page]]


class Morning(msgspec.Struct, frozen=True, kw_only=True):
    """The day that is on the board: its visits by the given names of their patients, and the API of its clinic."""

    site: Site
    clinic: Clinic
    day: date
    visits: dict[str, UUID]

    @property
    def address(self) -> str:
        return f"/staff/day/{self.day}"

    def key(self, name: str) -> str:
        """Return what the card of somebody is found by."""
        return f"#v-{self.visits[name].hex[-12:]}"

    async def act(self, name: str, action: str, body: Any = None) -> None:
        """Have other software do something to somebody's visit, through the API."""
        visit = (await self.site.desk.get(f"/api/v1/visits/{self.visits[name]}")).json()
        response = await self.site.desk.post(
            f"/api/v1/visits/{visit['id']}/{action}", json=body, headers={"If-Match": f'"{visit["version"]}"'}
        )
        assert response.status_code == 200, response.text

    async def status(self, name: str) -> str:
        return await self.site.pool.fetchval("select status from visits where id = $1", self.visits[name])


def card(page: Page, morning: Morning, name: str) -> Locator:
    return page.locator(morning.key(name))


async def has_focus(page: Page, selector: str) -> bool:
    return await page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector)


async def tab_to(page: Page, selector: str, *, most: int = 80) -> None:
    """Press Tab until something has the focus, as somebody without a mouse does."""
    for _ in range(most):
        if await has_focus(page, selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{selector} was not reached with {most} presses of Tab")


async def live(page: Page) -> None:
    """Wait until a board hears of changes."""
    await expect(page.locator("#live.on")).to_be_visible()
    await expect(page.locator("#live-words")).to_contain_text("Live, ")


async def session_of(page: Page) -> str:
    """Return the cookie of whoever is signed in."""
    return next(one.get("value", "") for one in await page.context.cookies() if one.get("name") == "staff")
