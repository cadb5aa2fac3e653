"""What every test of the board has: a front desk at twenty past nine on a full day, and browsers that are signed in."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser, Page

from scheduler.domain.staff import Role
from scheduler.store.clinics import load_clinics
from tests.browser.board.morning import DESK, Morning, OpenBoard
from tests.browser.conftest import Browsers
from tests.browser.days import add_day, morning_zone, set_hours
from tests.browser.desk import sign_in
from tests.browser.site import Site, open_site
from tests.conftest import Databases


@pytest.fixture(scope="session")
async def morning_site(
    executable: str,  # noqa: ARG001 - without a browser nothing is started
    databases: Databases,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Site]:
    name = f"board_{worker_id}"
    dsn = await databases.create(name, template="template")
    async with open_site(dsn, tmp_path_factory.mktemp("board"), timezone=morning_zone()) as site:
        yield site
    await databases.drop(name)


@pytest.fixture
async def morning(morning_site: Site) -> AsyncIterator[Morning]:
    """Yield the day, full."""
    async with morning_site.pool.acquire() as connection:
        (clinic,) = await load_clinics(connection)
    day = datetime.now(ZoneInfo(clinic.timezone)).date()
    await set_hours(morning_site.pool, clinic, day)
    visits = await add_day(morning_site.pool, clinic, day)
    yield Morning(site=morning_site, clinic=clinic, day=day, visits=visits)
    await morning_site.forget_patients()
    await morning_site.pool.execute("delete from overrides where set_by = 'desk'")
    await morning_site.pool.execute("delete from closures where set_by = 'desk'")


@pytest.fixture(scope="session")
def desks(chrome: Browser, morning_site: Site) -> Browsers:
    return Browsers(chrome, morning_site.url)


@pytest.fixture
async def open_board(desks: Browsers, morning: Morning) -> AsyncIterator[OpenBoard]:
    """Yield what opens the board, or another address, in a browser at which somebody is signed in."""
    signed = 0

    async def open_one(address: str | None = "", *, role: Role = "desk", name: str = "", **how: Any) -> Page:
        nonlocal signed
        signed += 1
        page = await desks.open(**how)
        await page.set_viewport_size(DESK)  # pyright: ignore[reportArgumentType]
        await sign_in(page, morning.site, role, name=name or f"{'Ana Bo Cy Di Ed'.split()[signed - 1]} Morales")
        if address is not None:
            await page.goto(address or morning.address)
        return page

    yield open_one
    await desks.take_back()
