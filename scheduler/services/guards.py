"""The last look at a text before it leaves: whether its phone may ring now, how often it rang, and what it costs.

Whether it is still true, wanted and can arrive is judged as it is claimed (``store/dispatch``).
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from scheduler.channels.segments import count
from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import State
from scheduler.domain.sending import UNCOUNTED, URGENT, text_room, text_time
from scheduler.services.failures import mail_instead
from scheduler.store.connections import Connection
from scheduler.store.dispatch import ClaimedMessage, TakenUp
from scheduler.store.pacing import count_texts
from scheduler.store.unreachable import said_by_email


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a message that does not leave now, and why; ``until`` goes with ``pending``.

    ``unheard`` is whether nothing else says to the patient what this does not.
    """

    state: State
    reason: str | None = None
    until: datetime | None = None
    unheard: bool = False


def held_back(clinic: Clinic, message: ClaimedMessage, now: datetime) -> Aside | None:
    """Put a text off to the hours in which its recipient's phone may ring, or close it where these come too late."""
    if message.channel != "sms" or (opens_at := text_time(clinic, message.address, message.kind, now)) <= now:
        return None
    if opens_at >= message.expires_at:
        reason = "Too late to be of use once texts may go again where the patient is."
        return Aside(state="expired", reason=reason, unheard=message.kind in URGENT or message.kind == "reminder")
    return Aside(state="pending", until=opens_at)


async def without_room(
    connection: Connection, messages: Iterable[tuple[Clinic, ClaimedMessage]], now: datetime
) -> set[UUID]:
    """Return those of the messages that are texts to a phone that has had as many as it may."""
    rooms = {
        message.id: (clinic.id, message.address, text_room(clinic, message.address, frequent=message.frequent, now=now))
        for clinic, message in messages
        if message.channel == "sms" and message.kind not in UNCOUNTED
    }
    counts = await count_texts(
        connection, [(clinic_id, phone, room.day_began, room.week_began) for clinic_id, phone, room in rooms.values()]
    )
    return {
        message_id
        for (message_id, (_, _, room)), had in zip(rooms.items(), counts, strict=True)
        if room.is_used_up(*had)
    }


async def stay_within_room(connection: Connection, message: ClaimedMessage, now: datetime) -> Aside | None:
    """Suppress a text to a phone that has had as many as it may; an email says the same where there is one.

    A notice of what the patient has just arranged goes all the same where no email can say it.
    """
    mailed = await says_email(connection, message, now)
    if message.kind != "reminder" and not mailed:
        return None
    reason = "This phone has had as many texts as it may get in a day or a week."
    return Aside(state="suppressed", reason=reason, unheard=not mailed)


async def says_email(connection: Connection, message: ClaimedMessage | TakenUp, now: datetime | None) -> bool:
    """Return whether an email says what a text cannot; one is planned where none was."""
    said = await said_by_email(connection, message.clinic_id, message.id)
    return said or await mail_instead(connection, message.clinic_id, message.id, now=now)


def too_long(message: ClaimedMessage, text: str) -> Aside | None:
    """Close a text that is longer than one segment: it would cost more, and arrive in pieces on some phones."""
    if message.channel != "sms" or count(text).segments == 1:
        return None
    return Aside(state="dead", reason=f"Its text {message.template} is longer than one segment; shorten it.")
