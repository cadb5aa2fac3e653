"""The clinic's staff in a real browser, and a desk with something to see to: made by what really happens."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

import httpx
import msgspec
from playwright.async_api import Page
from twilio.request_validator import RequestValidator

from scheduler.domain.staff import Role
from scheduler.settings import load_settings
from scheduler.store.clinics import load_clinics
from tests.browser.conftest import vendored
from tests.browser.site import Site
from tests.browser.steps import BY_WIDTH, MEASURE, STANDARDS, axe
from tests.integration.staffing import Screen, hire
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN

NEW_YORK = ZoneInfo("America/New_York")

TELEPHONE = 375

# What no address and no title may say: a name, or a telephone number.
NAMED = re.compile(r"devon|hartley|kim|abara|quill|lee|novak|555-?01|example\.com", re.IGNORECASE)


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """A visit of somebody whose confirmation by text has left."""

    visit_id: str
    patient_id: str
    text_id: str
    phone: str


async def desk_faults(page: Page) -> list[str]:
    """Return all that is wrong with a page of the staff, at the width of a desk and of a telephone.

    The page must let our tools in. Its contrasts are looked at in both schemes of colours.
    """
    await page.add_script_tag(path=vendored("axe.min.js"))
    found: list[str] = []
    for width in (1280, 375):
        await page.set_viewport_size({"width": width, "height": 860})
        looks: dict[str, Any] = await page.evaluate(MEASURE)
        if looks["sideways"]:
            found.append(f"{width}: the page scrolls sideways")
        for name in ("small", "short", "fields", "unnamed"):
            found += [f"{width}: {name}: {one}" for one in looks[name]]
        expected = {"headings": 1, "language": "en", "styled": 0}
        found += [f"{name} is {looks[name]!r}" for name, value in expected.items() if looks[name] != value]
        rules = {"runOnly": STANDARDS} if width > TELEPHONE else {"runOnly": {"type": "rule", "values": BY_WIDTH}}
        found += [f"{width}: axe: {one}" for one in await axe(page, rules)]
    await page.emulate_media(color_scheme="dark")
    dark = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
    found += [f"dark: axe: {one}" for one in await axe(page, dark)]
    await page.emulate_media(color_scheme="light")
    path = urlsplit(page.url)
    found += [f"{text!r} says too much" for text in (await page.title(), path.path, path.query) if NAMED.search(text)]
    return found


async def sign_in(page: Page, site: Site, role: Role = "desk", *, name: str = "Ana Morales") -> None:
    """Let somebody of the staff be signed in, in this browser."""
    async with site.pool.acquire() as connection:
        (clinic,) = await load_clinics(connection)
    therapist = "rivera" if role == "therapist" else None
    username = name.split(maxsplit=1)[0].lower()
    person = await hire(
        site.pool, clinic, load_settings(site.environment), username, name=name, role=role, therapist=therapist
    )
    async with httpx.AsyncClient(base_url=site.url) as client:
        await Screen(client).sign_in(person)
        await page.context.add_cookies([{"name": "staff", "value": client.cookies["staff"], "url": site.url}])


async def book(
    site: Site,
    number: int,
    given_name: str,
    family_name: str,
    *,
    starts_in: timedelta,
    agreed: bool = True,
    **more: Any,
) -> Booked:
    """Book a visit for somebody whose phone ends in a number, and let it begin so long from now."""
    phone = f"201 555 {100 + number:04}"
    today = datetime.now(NEW_YORK).date()
    first, until = ((today + timedelta(days=days)).isoformat() for days in (20, 34))
    slots = await site.slots(first=first, until=until, therapist=("rivera", "okafor")[number % 2])
    consent = {"sms_consent": {"granted": True, "wording_version": "2026-11"}} if agreed else {}
    response = await site.desk.post(
        "/api/v1/visits",
        json={
            "visit_type": "eval-run", "starts_at": slots[0]["starts_at"], "therapist": slots[0]["therapist"],
            "patient": {"given_name": given_name, "family_name": family_name, "phone": phone, **consent, **more},
        },
    )  # fmt: skip
    assert response.status_code == 201, response.text
    visit = response.json()
    await site.pool.execute(
        """update visits set starts_at = now() + $2, ends_at = now() + $2 + interval '1 hour',
            booked_at = now() - interval '20 days', status_changed_at = now() - interval '20 days' where id = $1""",
        visit["id"],
        starts_in,
    )
    await site.pool.execute(
        """update messages set expires_at = visits.starts_at,
            variables = variables || jsonb_build_object('starts_at', visits.starts_at)
        from visits where visits.id = visit_id and visit_id = $1""",
        visit["id"],
    )
    text_id = await site.pool.fetchval(
        "select id from messages where visit_id = $1 and channel = 'sms' and kind = 'booked'", visit["id"]
    )
    return Booked(
        visit_id=visit["id"],
        patient_id=visit["patient"]["id"],
        text_id=str(text_id),
        phone=f"+1201555{100 + number:04}",
    )


async def leave(site: Site, message_id: str) -> None:
    """Let a message have left just now, as a worker does."""
    await site.pool.execute(
        """with gone as (
            update messages set state = 'sent', attempts = 1, sent_at = now(), finished_at = now(),
                provider_id = 'SM' || replace(id::text, '-', '') where id = $1 returning *
        ), attempt as (
            insert into message_attempts (clinic_id, message_id, number, finished_at, outcome)
            select clinic_id, id, 1, now(), 'accepted' from gone
        )
        insert into provider_messages (clinic_id, channel, provider_id, message_id)
        select clinic_id, channel, provider_id, id from gone""",
        message_id,
    )


async def report(site: Site, message_id: str, status: str, code: str = "") -> None:
    """Have Twilio report how far a text is."""
    await leave(site, message_id)
    fields = {
        "MessageSid": f"SM{message_id.replace('-', '')}", "AccountSid": ACCOUNT_SID, "MessageStatus": status,
        "ErrorCode": code,
    }  # fmt: skip
    path = f"/hooks/twilio/status/{message_id}"
    signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{site.url}{path}", fields)
    response = await site.desk.post(
        path, content=urlencode(fields),
        headers={"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert response.status_code == 204, response.text
