"""One Chromium and one web process for all tests of a process of the run; a browser of its own for every patient."""

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from scheduler.domain.clinics import LANGUAGES, Language
from tests.browser.site import Site, open_site
from tests.conftest import Databases

# Set where the tests must run, as before a change lands: then a browser that is missing is a failure.
REQUIRED = "BROWSER_TESTS_REQUIRED"

# The folder into which pictures of every screen go, where they are wanted.
SCREENSHOTS = "SCREENSHOTS"

# It is the system's own browser, which asks nobody for anything while it runs.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

TELEPHONE: ViewportSize = {"width": 375, "height": 812}

OpenPage = Callable[..., Awaitable[Page]]


def chromium() -> str | None:
    """Return the path of the Chromium of this machine, or of the browser that CHROMIUM names."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def executable() -> str:
    path = chromium()
    if path is None:
        missing = "No Chromium is installed; on Debian: apt-get install chromium"
        if os.environ.get(REQUIRED):
            pytest.fail(missing)
        pytest.skip(missing)
    return path


@pytest.fixture(scope="session")
async def chrome(executable: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)


@pytest.fixture(scope="session")
async def running_site(
    executable: str,  # noqa: ARG001 - without a browser nothing is started
    databases: Databases,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Site]:
    name = f"browser_{worker_id}"
    async with open_site(await databases.create(name, template="template"), tmp_path_factory.mktemp("site")) as site:
        yield site
    await databases.drop(name)


@pytest.fixture
async def site(running_site: Site) -> AsyncIterator[Site]:
    """Yield the service without patients."""
    yield running_site
    await running_site.forget_patients()


class Browsers:
    """The browsers of patients: each has cookies, a language and an address of its own.

    To start one costs more than most tests do, so one that is given back is emptied and lent again.
    """

    def __init__(self, chrome: Browser, url: str) -> None:
        self._chrome = chrome
        self._url = url
        self._addresses = itertools.count(1)
        self._idle: dict[tuple[Language, bool, bool], list[Page]] = {}
        self._lent: list[tuple[tuple[Language, bool, bool] | None, Page]] = []

    async def open(
        self, language: Language = "en", *, scripts: bool = True, lax: bool = False, new: bool = False, **more: Any
    ) -> Page:
        """Open a page. A ``lax`` one lets our tools in; a ``new`` one, or one with ``more``, is never lent again."""
        key = (language, scripts, lax)
        idle = self._idle.get(key)
        page = idle.pop() if idle and not new and not more else await self._start(key, more)
        self._lent.append((None if new or more else key, page))
        return page

    async def take_back(self) -> None:
        """Empty every browser that was lent."""
        for key, page in self._lent:
            if key is None:
                await page.context.close()
                continue
            for other in page.context.pages:
                if other is not page:
                    await other.close()
            await page.goto("about:blank")
            await page.context.clear_cookies()
            await page.set_viewport_size(TELEPHONE)
            self._idle.setdefault(key, []).append(page)
        self._lent.clear()

    async def _start(self, key: tuple[Language, bool, bool], more: dict[str, Any]) -> Page:
        language, scripts, lax = key
        number = next(self._addresses)
        context = await self._chrome.new_context(
            base_url=self._url,
            viewport=TELEPHONE,
            java_script_enabled=scripts,
            bypass_csp=lax,
            # Pictures are for screens with small points; tests need no more of them than a page has.
            device_scale_factor=2 if os.environ.get(SCREENSHOTS) else 1,
            locale={"en": "en-US", "es": "es-US"}[language],
            extra_http_headers={"X-Forwarded-For": f"198.51.{number // 250}.{number % 250 + 1}"},
            **more,
        )
        context.set_default_timeout(10_000)
        return await context.new_page()


@pytest.fixture(scope="session")
def browsers(chrome: Browser, running_site: Site) -> Browsers:
    return Browsers(chrome, running_site.url)


@pytest.fixture
async def open_page(browsers: Browsers, site: Site) -> AsyncIterator[OpenPage]:  # noqa: ARG001 - it is emptied
    """Yield what opens a page in a browser of its own."""
    yield browsers.open
    await browsers.take_back()


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@pytest.fixture(params=[("en", True), ("es", False)], ids=["en, with scripts", "es, without scripts"])
def visitor(request: pytest.FixtureRequest) -> tuple[Language, bool]:
    """Return a language, and whether the browser runs scripts."""
    return request.param


def vendored(name: str) -> Path:
    return Path(__file__).parent / "vendor" / name
