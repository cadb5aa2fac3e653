"""Visits that the desk books for the tests of private links, and how near they are."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from playwright.async_api import Page

from scheduler.domain.clinics import Language
from scheduler.web.pages import dates
from tests.browser.site import Site
from tests.browser.steps import ASH

NEW_YORK = ZoneInfo("America/New_York")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The private link of a visit, and the visit that it leads to."""

    id: str
    url: str
    starts_at: datetime

    def when(self, language: Language = "en") -> str:
        return dates.when(self.starts_at.astimezone(NEW_YORK), language)


async def booked(site: Site, *, ahead: int = 20, number: int = 0, kind: str = "eval-run", **patient: Any) -> Link:
    """Have the desk book a visit at the first opening after so many days, and return its link."""
    slots = await site.slots(kind, first=day_ahead(ahead), until=day_ahead(ahead + 14), therapist="rivera")
    person = {**ASH, "sms_consent": {"granted": True, "wording_version": "2026-11"}, **patient}
    response = await site.desk.post(
        "/api/v1/visits",
        json={"visit_type": kind, "starts_at": slots[number]["starts_at"], "therapist": "rivera", "patient": person},
    )
    assert response.status_code == 201, response.text
    visit = response.json()
    return Link(id=visit["id"], url=visit["manage_url"], starts_at=datetime.fromisoformat(visit["starts_at"]))


async def moved_by_desk(site: Site, link: Link) -> None:
    """Have the desk move the visit to the first opening two weeks later."""
    later = (link.starts_at.astimezone(NEW_YORK) + timedelta(days=14)).date()
    slots = await site.slots(
        first=later.isoformat(), until=(later + timedelta(days=14)).isoformat(), therapist="rivera"
    )
    answer = await site.desk.post(
        f"/api/v1/visits/{link.id}/reschedule",
        json={"starts_at": slots[0]["starts_at"]},
        headers={"If-Match": f'"{(await row(site, link))["version"]}"'},
    )
    assert answer.status_code == 200, answer.text


def day_ahead(days: int) -> str:
    """Return the clinic's date in so many days."""
    return (datetime.now(NEW_YORK).date() + timedelta(days=days)).isoformat()


async def row(site: Site, link: Link) -> Any:
    return await site.pool.fetchrow("select * from visits where id = $1", link.id)


async def start_in(site: Site, link: Link, hours: float, *, booked_ago: timedelta = timedelta(days=1)) -> None:
    """Let the visit be so near, or so long ago, and booked so long before now."""
    await site.pool.execute(
        """update visits set starts_at = now() + make_interval(mins => $2), booked_at = now() - $3::interval,
            ends_at = now() + make_interval(mins => $2) + interval '1 hour' where id = $1""",
        link.id,
        round(hours * 60),
        booked_ago,
    )


async def press(page: Page, words: str) -> None:
    await page.get_by_role("button", name=words, exact=True).click()
