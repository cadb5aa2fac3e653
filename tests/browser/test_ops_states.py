"""Every state of the page of health, made by what really happens: a worker, its providers, and time that goes by."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID

from playwright.async_api import Page, expect

from scheduler.store.ops import Listing
from tests.acceptance.processes import Started, free_port, running, until
from tests.browser import desk
from tests.browser.conftest import OpenPage
from tests.browser.site import Site
from tests.browser.steps import watch_policy
from tests.browser.visits import Link, booked
from tests.simulators.smtp import SmtpSimulator
from tests.simulators.twilio import TwilioSimulator, refusal

OPS = "/staff/ops"

PHONES = re.compile(r"\d{7,}")

# Looks at an address: at the line on its top, which holds these words, and at so many rows below it.
Look = Callable[[str, str, int], Awaitable[None]]


@asynccontextmanager
async def texts_at_any_hour(site: Site) -> AsyncGenerator[None]:
    """Let the clinic's texts leave whenever this test runs, by night as well."""
    before = await site.pool.fetchval("select settings -> 'text_window' from clinics")
    await site.decide("text_window", [0, 1440])
    try:
        yield
    finally:
        await site.decide("text_window", before)


async def text_is(site: Site, link: Link, state: str) -> str:
    """Wait until the text that confirms a visit has come so far, and return its id."""
    query = "select id from messages where visit_id = $1 and kind = 'booked' and channel = 'sms' and state = $2"
    return str(await until(lambda: site.pool.fetchval(query, UUID(link.id), state), what=f"a text to be {state}"))


async def goes_by(site: Site, minutes: int) -> None:
    """Let all that happened, and all that is due, be so much longer ago."""
    for statement in (
        "update messages set sent_at = sent_at - $1::interval, finished_at = finished_at - $1::interval",
        "update messages set not_before = not_before - $1::interval where state = 'pending' and not_before <= now()",
        "update message_attempts set started_at = started_at - $1::interval",
        "update provider_events set received_at = received_at - $1::interval",
    ):
        await site.pool.execute(statement, timedelta(minutes=minutes))


async def end_rest(site: Site) -> None:
    """Let the quarter of an hour be over for which a channel rests, and for which what was tried waits."""
    await site.pool.execute("update channel_pauses set paused_until = now() - interval '1 second'")
    await site.pool.execute("update messages set not_before = now() where state = 'pending' and attempts > 0")


async def live_through(site: Site, url: str, port: int, worker: Started, look: Look) -> None:
    """Look at what comes to be while a worker lives, and once it has died; Twilio is at the port, or nobody is."""
    good = "Nothing needs you."
    await until(lambda: site.pool.fetchval("select 1 from job_runs"), what="the reminder job to run")
    await look(OPS, good, 0)
    async with TwilioSimulator(port=port, callbacks=("sent", "delivered")) as twilio:
        first = await booked(site)
        await text_is(site, first, "delivered")
        await look(f"{OPS}?show=delivered", good, 2)
        await site.pool.execute(
            "update messages set not_before = now() + interval '6 hours' where kind = 'reminder' and visit_id = $1",
            UUID(first.id),
        )
        soon = "select count(*) from messages where kind = 'reminder' and not_before < now() + interval '1 day'"
        await look(f"{OPS}?show=reminders", good, await site.pool.fetchval(soon))
        twilio.callbacks = ("sent", "undelivered:30006")
        await text_is(site, await booked(site, number=6, given_name="Bo", phone="201 555 0143"), "undelivered")
        for show in ("failed", "open"):
            await look(f"{OPS}?range=week&show={show}", "1 failed message needs a person.", 1)
        await twilio.text_us(url, "+12015550142", "STOP")
        await look(f"{OPS}?show=opted_out", "1 failed message needs a person.", 1)
        twilio.faults.append(refusal(20003, 401))
        kim = await booked(site, number=12, given_name="Kim", phone="201 555 0144", email=None)
        await until(lambda: site.pool.fetchval("select 1 from channel_pauses"), what="texts to rest")
        await look(OPS, "Twilio does not accept the account's credentials.", 1)
        await look(f"{OPS}?show=waiting", "Texts wait until", 1)
        ray = await booked(site, number=18, given_name="Ray", phone="201 555 0145", email=None)
        await goes_by(site, 6)
        await look(f"{OPS}?show=waiting", "Texts wait until", 2)
        # Somebody's forgotten window into the database keeps a row that workers therefore leave alone.
        async with site.pool.acquire() as connection, connection.transaction():
            await connection.execute("select from messages where visit_id = $1 for update", UUID(ray.id))
            twilio.callbacks = ("sent", "delivered")
            await end_rest(site)
            await text_is(site, kim, "delivered")
            await look(f"{OPS}?show=waiting", "1 message is late, the first by 6 minutes.", 1)
        await text_is(site, ray, "delivered")
    # Nobody answers at Twilio's address any more.
    lou = await booked(site, number=24, given_name="Lou", phone="201 555 0146", email=None)
    await until(
        lambda: site.pool.fetchval("select 1 from messages where reason = 'Twilio could not be reached.'"),
        what="a text that was tried in vain",
    )
    await goes_by(site, 3)
    await look(f"{OPS}?show=waiting", "Twilio could not be reached. We go on trying.", 1)
    async with TwilioSimulator(port=port) as twilio:
        await site.pool.execute("update messages set not_before = now() where attempts > 0 and state = 'pending'")
        text_id = await text_is(site, lou, "sent")
        await goes_by(site, 31)
        await look(f"{OPS}?show=unreceipted", "Texts leave, but no receipts come in", 1)
        await twilio.report(url, text_id, twilio.accepted[-1].sid, "delivered")
        await worker.kill()
    soon = await desk.book(site, 50, "Lee", "Novak", starts_in=timedelta(hours=30))
    await site.pool.execute("delete from messages where visit_id = $1 and kind = 'reminder'", UUID(soon.visit_id))
    await look(f"{OPS}?show=unreminded", "1 visit has no reminder. Call these patients.", 1)
    await site.pool.execute("update worker_heartbeats set beat_at = beat_at - interval '2 minutes'")
    await look(OPS, "Nothing is sent: no worker runs.", 1)
    await site.pool.execute("update job_runs set ran_at = ran_at - interval '3 minutes'")
    await look(OPS, "Reminders are late. Call tomorrow's first patients.", 1)


async def test_every_state_is_told_and_clean(site: Site, open_page: OpenPage, tmp_path: Path) -> None:
    port = free_port()
    real = {
        **site.environment, "SMS_CHANNEL": "twilio", "TWILIO_API_BASE_URL": f"http://127.0.0.1:{port}",
        "EMAIL_CHANNEL": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_TLS": "none",
    }  # fmt: skip
    lax, strict = await open_page(new=True, lax=True), await open_page(new=True)
    await desk.sign_in(lax, site)
    await desk.sign_in(strict, site, name="Toni Morales")
    broken = await watch_policy(strict)
    wrong: dict[str, list[str]] = {}
    told: list[str] = []

    async def look(address: str, words: str, rows: int) -> None:
        told.append(address)
        for page in (lax, strict):
            await page.goto(web.url + address)
            await expect(page.get_by_role("status")).to_contain_text(words)
            await expect(page.locator("table.lines tbody tr")).to_have_count(rows)
        found = await desk.desk_faults(lax) + await phones_in(lax)
        if found:
            wrong[f"{words} {address}"] = found

    async with (
        SmtpSimulator() as relay,
        texts_at_any_hour(site),
        running(
            "web", {**site.environment, **real, "SMTP_PORT": str(relay.port)}, tmp_path / "web.log", web=True
        ) as web,
    ):
        await look(OPS, "No data yet.", 0)
        environment = {**real, "SMTP_PORT": str(relay.port), "PUBLIC_BASE_URL": web.url}
        async with running("worker", environment, tmp_path / "worker.log") as worker:
            await live_through(site, web.url, port, worker, look)
    assert wrong == {}
    assert broken == []
    # Every list was seen with rows in it, but that of the previews, which there are none of here.
    seen = {show for address in told for show in get_args(Listing) if address.endswith(f"show={show}")}
    assert {*get_args(Listing)} - seen == {"left"}


async def phones_in(page: Page) -> list[str]:
    """Return every number on a page that is as long as a telephone's; those of its own parts are none."""
    words = await page.locator("body").inner_text()
    return PHONES.findall(re.sub(r"[\s().+-]+", "", words))
