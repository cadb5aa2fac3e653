"""What is planned for a patient follows them: to another phone or email, into another language, or nowhere."""

from datetime import datetime, timedelta

import httpx
import pytest

from scheduler.store.connections import Pool
from scheduler.store.dispatch import claim_messages
from tests.integration.filing import AGREED, add, change, planned, say
from tests.integration.requests import ASH, JO, NOW, TEN, book, messages_of

pytestmark = pytest.mark.usefixtures("monday")

OTHER_PHONE = "201 555 0177"
OTHER_DIALLED = "+12015550177"


async def sent_by(pool: Pool, moment: datetime) -> list[tuple[str, str]]:
    """Return what would leave by a moment, as (channel, address), and leave the outbox as it was."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        leaving: list[tuple[str, str]] = []
        taken = 1
        while taken:
            claimed, taken = await claim_messages(connection, limit=50, lease_seconds=60, now=moment)
            leaving += [(message.channel, message.address) for message in claimed]
            await connection.execute("update messages set state = 'sent', lease_token = null where state = 'sending'")
        await transaction.rollback()
    return leaving


async def test_planned_emails_go_to_the_new_address_and_nowhere_without_one(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = (await book(desk, "eval-run", TEN)).json()["patient"]
    count = await pool.fetchval("select count(*) from messages where channel = 'email'")
    await change(desk, patient, email="new@example.com")
    assert await planned(pool, "email") == {("pending", "new@example.com", "en")}
    await change(desk, patient, email=None)
    assert {state for state, *_ in await planned(pool, "email")} == {"suppressed"}
    assert {channel for channel, _ in await sent_by(pool, datetime.fromisoformat(TEN) - timedelta(hours=23))} == {"sms"}
    await change(desk, patient, email="back@example.com")
    # What was due at once while there was no address is past; the reminders are still to come.
    rows = await pool.fetch("select kind, state from messages where channel = 'email' and address = 'back@example.com'")
    assert {tuple(row) for row in rows} == {("reminder", "pending")}
    assert await pool.fetchval("select count(*) from messages where channel = 'email'") == count


async def test_somebody_who_gives_an_email_later_is_reminded_of_the_visits_they_have(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = (await book(desk, "eval-run", TEN, patient=JO)).json()["patient"]
    assert await pool.fetchval("select count(*) from messages") == 0
    await change(desk, patient, email="jo@example.com")
    rows = await pool.fetch("select kind, state, address from messages")
    assert {tuple(row) for row in rows} == {("reminder", "pending", "jo@example.com")}


async def test_consent_stays_with_the_number_it_was_given_for(desk: httpx.AsyncClient, pool: Pool) -> None:
    """After a new number no text leaves until somebody agrees for it; the old number's word comes back with it."""
    patient = (await book(desk, "eval-run", TEN, patient=ASH | {"email": None})).json()["patient"]
    late = datetime.fromisoformat(TEN) - timedelta(hours=23)
    assert {address for _, address in await sent_by(pool, late)} == {"+12015550142"}
    moved = await change(desk, patient, phone=OTHER_PHONE)
    assert (moved["phone"], moved["sms_consent"]) == (OTHER_DIALLED, None)
    assert {state for state, *_ in await planned(pool, "sms")} == {"suppressed"}
    assert await sent_by(pool, late) == []

    consent = await say(desk, patient, "sms", granted=True)
    assert consent["address"] == OTHER_DIALLED
    leaving = await sent_by(pool, late)
    assert {address for _, address in leaving} == {OTHER_DIALLED}

    await say(desk, patient, "sms", granted=False)
    assert await sent_by(pool, late) == []
    assert (await change(desk, patient, phone=ASH["phone"]))["sms_consent"] is True
    assert {address for _, address in await sent_by(pool, late)} == {"+12015550142"}


async def test_texts_go_to_a_new_number_at_once_where_it_was_agreed_to_before(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    patient = await add(desk, ASH | {"email": None})
    await change(desk, patient, phone=OTHER_PHONE)
    await say(desk, patient, "sms", granted=True)
    await book(desk, "eval-run", TEN, patient=None, patient_id=patient["id"])
    await change(desk, patient, phone=ASH["phone"])
    assert await planned(pool, "sms") == {("pending", "+12015550142", "en")}


@pytest.mark.parametrize("agreed", [True, False])
async def test_what_comes_back_unsent_goes_to_where_the_patient_is_by_then(
    desk: httpx.AsyncClient, pool: Pool, agreed: bool
) -> None:
    """While a message is being sent it cannot be changed, but the next try knows the new address and language."""
    patient = await add(desk, ASH | {"phone": OTHER_PHONE, "sms_consent": AGREED if agreed else None})
    await say(desk, await change(desk, patient, phone=ASH["phone"]), "sms", granted=True)
    await book(desk, "eval-run", TEN)
    await pool.execute("update messages set state = 'sending', lease_token = gen_random_uuid()")
    await change(desk, patient, phone=OTHER_PHONE, email="new@example.com", language="es")
    await pool.execute("update messages set state = 'pending', lease_token = null")
    late = datetime.fromisoformat(TEN) - timedelta(hours=37)
    assert set(await sent_by(pool, late)) == {
        ("email", "new@example.com"),
        *([("sms", OTHER_DIALLED)] if agreed else []),
    }
    async with pool.acquire() as connection:
        soon = NOW + timedelta(minutes=1)
        assert (await claim_messages(connection, limit=50, lease_seconds=60, now=soon))[0] == []
        claimed, _ = await claim_messages(connection, limit=50, lease_seconds=60, now=soon)
    assert {message.language for message in claimed} == {"es"}


async def test_planned_messages_take_the_new_language(desk: httpx.AsyncClient, pool: Pool) -> None:
    patient = (await book(desk, "eval-run", TEN)).json()["patient"]
    await pool.execute("update messages set state = 'sent' where kind = 'booked'")
    await change(desk, patient, language="es")
    rows = await pool.fetch("select distinct kind, language from messages")
    assert {tuple(row) for row in rows} == {("booked", "en"), ("reminder", "es")}


async def test_texts_agreed_to_later_are_planned_and_email_refused_is_not_sent(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = (await book(desk, "eval-run", TEN, patient=ASH | {"sms_consent": None})).json()
    assert {one["channel"] for one in await messages_of(desk, visit)} == {"email"}
    await say(desk, visit["patient"], "sms", granted=True)
    await say(desk, visit["patient"], "sms", granted=True)
    reminders = [one for one in await messages_of(desk, visit) if one["channel"] == "sms"]
    assert {one["kind"] for one in reminders} == {"reminder"}
    assert len({(one["template"], one["due_at"]) for one in reminders}) == len(reminders)

    refused = await say(desk, visit["patient"], "email", granted=False)
    assert refused["address"] == "ash@example.com"
    assert {state for state, *_ in await planned(pool, "email")} == {"suppressed"}
    late = datetime.fromisoformat(TEN) - timedelta(hours=23)
    assert {channel for channel, _ in await sent_by(pool, late)} == {"sms"}
    # Also one that slipped through, such as one that was being sent just then.
    await pool.execute("update messages set state = 'pending'")
    assert {channel for channel, _ in await sent_by(pool, late)} == {"sms"}
