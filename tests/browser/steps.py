"""What patients do on the pages, in their words, and what is looked for on every page."""

import gzip
import re
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Page, Response, expect

from scheduler.domain.clinics import Language
from tests.browser.conftest import vendored
from tests.browser.site import Site
from tests.phones import NUMBER

ASH = {"given_name": "Ash", "family_name": "Quillfeather", "phone": "201 555 0142", "email": "ash.q@example.com"}

# Standards of WCAG 2.2 to AA, and what axe thinks good besides.
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Whatever these find depends on how wide the page is, or how dark; all else is the same.
BY_WIDTH = ["color-contrast", "target-size", "scrollable-region-focusable"]
BY_COLOUR = ["color-contrast"]

WIDTHS = (320, 375, 1280)

# What no address and no title may say: who, how to reach them, and why they come.
PRIVATE = re.compile(rf"Ash|Quillfeather|{NUMBER}|example\.com|\bhip\b|pain|running|cadera|dolor", re.IGNORECASE)

# The ids and tokens that addresses have in them, in which any digits may stand.
IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=/m/)\w+")

LARGEST_PAGE = 15 * 1024
MOST_REQUESTS = 3

# A page is measured as a person meets it: what they can see and reach.
MEASURE = """() => {
    const seen = one => {
        const box = one.getBoundingClientRect();
        return one.checkVisibility() && box.width > 1 && box.height > 1 && !one.closest('.hidden, .skip');
    };
    const all = query => [...document.querySelectorAll(query)].filter(seen);
    const high = one => one.getBoundingClientRect().height;
    const name = one => one.outerHTML.slice(0, 90);
    const controls = all('a[href], button, input:not([type=hidden]), select, summary');
    const spacing = new CSSStyleSheet();
    spacing.replaceSync('* { letter-spacing: 0.12em !important; word-spacing: 0.16em !important; '
        + 'line-height: 1.5 !important } p { margin-bottom: 2em !important }');
    document.adoptedStyleSheets = [spacing];
    const spaced = document.documentElement.scrollWidth > innerWidth;
    document.adoptedStyleSheets = [];
    const apart = controls.filter(one => getComputedStyle(one).display !== 'inline' && !one.closest('label'));
    return {
        sideways: document.documentElement.scrollWidth > innerWidth,
        spaced,
        small: apart.filter(one => high(one) < 24 || one.getBoundingClientRect().width < 24).map(name),
        short: all('.button, .slot, .chip, .option, .tool, .back').filter(one => high(one) < 44).map(name),
        fields: all('.field input').filter(one => parseFloat(getComputedStyle(one).fontSize) < 16).map(name),
        tight: all('.slot b').filter(one => one.getBoundingClientRect().width > one.closest('.slot').clientWidth - 6)
            .map(name),
        unnamed: controls.filter(one => one.matches('input, select') && !one.labels.length).map(name),
        headings: document.querySelectorAll('h1').length,
        language: document.documentElement.lang,
        title: document.title,
        scripts: document.scripts.length,
        styled: document.querySelectorAll('[style], style').length,
    };
}"""


async def faults(page: Page, language: Language, *, picture: str | None = None) -> list[str]:
    """Return all that is wrong with a page at each width, in a context whose pages let axe in.

    ``picture`` is how the files of its pictures begin, where some are wanted.
    """
    await page.add_script_tag(path=vendored("axe.min.js"))
    # These few rules read no stylesheets of their own.
    by_width, by_colour = (
        {"runOnly": {"type": "rule", "values": one}, "preload": False} for one in (BY_WIDTH, BY_COLOUR)
    )
    everything = {"runOnly": STANDARDS}
    found: list[str] = []
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 812})
        if picture:
            await page.screenshot(path=f"{picture}.{width}.png", full_page=True, caret="initial")
        looks: dict[str, Any] = await page.evaluate(MEASURE)
        if looks["sideways"]:
            found.append(f"{width}: the page scrolls sideways")
        if looks["spaced"]:
            found.append(f"{width}: the page scrolls sideways with the spacing of WCAG 1.4.12")
        for name in ("small", "short", "fields", "tight", "unnamed"):
            found += [f"{width}: {name}: {one}" for one in looks[name]]
        expected = {"headings": 1, "language": language, "styled": 0, "scripts": 1}
        found += [f"{name} is {looks[name]!r}" for name, value in expected.items() if looks[name] != value]
        found += [f"{width}: axe: {one}" for one in await axe(page, everything if width == WIDTHS[0] else by_width)]
    await page.emulate_media(color_scheme="dark")
    found += [f"in the dark: axe: {one}" for one in await axe(page, by_colour)]
    if picture:
        await page.set_viewport_size({"width": 375, "height": 812})
        await page.screenshot(path=f"{picture}.dark.png", full_page=True, caret="initial")
    await page.emulate_media(color_scheme="light")
    address = IDS.sub("", urlsplit(page.url)._replace(netloc="").geturl())
    found += [f"{text!r} says too much" for text in (await page.title(), address) if PRIVATE.search(text)]
    return found


async def axe(page: Page, rules: dict[str, Any]) -> list[str]:
    return await page.evaluate(
        """rules => axe.run(document, {...rules, resultTypes: ['violations']}).then(result =>
            result.violations.map(one => one.id + ': ' + one.nodes.map(node => node.target).join(', ')))""",
        rules,
    )


async def open_times(page: Page, kind: str = "eval-run", **query: str) -> None:
    """Open the second step."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    await page.goto(f"/book/t/{kind}?{text}")


async def take(page: Page, start: str | None = None) -> None:
    """Tap a slot, the first one unless a start is given, and wait for the third step."""
    await slot(page, start).click()
    await expect(page.locator("#details")).to_be_visible()


def slot(page: Page, start: str | None = None) -> Any:
    return page.locator("button.slot" + (f'[value="{start}"]' if start else "")).first


async def fill(page: Page, person: dict[str, str] = ASH, *, texts: bool = False) -> None:
    for name, value in person.items():
        await page.fill(f"#{name}", value)
    if texts:
        await page.check("#texts")


async def submit(page: Page) -> None:
    await page.locator("form.form .button-main").click()


async def book(page: Page, person: dict[str, str] = ASH, *, texts: bool = False, kind: str = "eval-run") -> None:
    """Book the first opening, to the end."""
    await open_times(page, kind)
    await take(page)
    await fill(page, person, texts=texts)
    await submit(page)
    await expect(page.locator(".done")).to_be_visible()


async def read_code(site: Site) -> str:
    """Return the latest code that was texted."""
    return await site.pool.fetchval(
        "select variables ->> 'code' from messages where template = 'code' order by id desc"
    )


async def typed(page: Page) -> dict[str, str]:
    """Return what stands in the fields of the third step, or is carried along by a step before it."""
    return {name: await page.locator(f'[name="{name}"]').first.input_value() for name in ASH}


async def watch_policy(page: Page) -> list[str]:
    """Return the list to which every breach of a page's security policy will be added."""
    broken: list[str] = []

    def note(words: str) -> None:
        broken.append(words)

    await page.expose_function("tellBroken", note)
    await page.add_init_script(
        "addEventListener('securitypolicyviolation', one => tellBroken(one.violatedDirective + ' ' + one.blockedURI))"
    )
    return broken


def watch_answers(page: Page) -> list[Response]:
    """Return the list to which the answer to everything that the page asks for will be added."""
    answers: list[Response] = []

    def note(answer: Response) -> None:
        answers.append(answer)

    page.on("response", note)
    return answers


async def weight(answers: list[Response]) -> int:
    """Return how many bytes travel for these answers where they are compressed, as before a clinic's own proxy."""
    return sum([len(gzip.compress(await answer.body())) for answer in answers if answer.status == 200])
