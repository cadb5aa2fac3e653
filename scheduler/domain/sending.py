"""The rules of sending: what goes first, when a phone may ring, how often, and how long to wait before a try. Pure."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import phonenumbers
from phonenumbers import timezone as phone_zones

from scheduler.domain.clinics import Clinic, TextLimits

# These go before anything else that is due, and past a message in doubt to the same address once it is that old: who
# travels to a clinic that is closed is helped by no protocol. Reminders and other notices wait until it is known.
URGENT = frozenset({"cancelled_by_clinic", "closure", "otp"})
JUMPS_AFTER = timedelta(seconds=20)

# A second code would make the first one wrong, so nothing but the person sends another.
NEVER_AGAIN = frozenset({"otp"})

# Answers to somebody who has the phone in their hand. They wait for no hours and count towards no limit.
AT_ONCE = frozenset({"reply", "otp", "link"})

# Texts that the clinic must send, or that were asked for, are neither limited nor counted.
UNCOUNTED = URGENT | AT_ONCE

WEEK = timedelta(days=7)

LONGEST_RETRY_SECONDS = 300.0


def retry_delay(retries: int, chance: float) -> timedelta:
    """Return how long to wait after an attempt that certainly did not leave: doubling, fully jittered, to 5 minutes.

    ``retries`` counts those made before; ``chance`` is uniform in [0, 1).
    """
    return timedelta(seconds=min(LONGEST_RETRY_SECONDS, 2.0 * 2 ** min(retries, 16)) * chance)


def recipient_zone(clinic: Clinic, phone: str) -> ZoneInfo:
    """Return the time zone that a number's area code says; the clinic's where it says several, or none."""
    return _zone_of(_with_any_line(phone)) or clinic.zone


def _with_any_line(phone: str) -> str:
    """Return a number of the same exchange: in North America no zone depends on more than area code and exchange."""
    return f"{phone[:8]}0100" if phone.startswith("+1") and len(phone) == len("+12015550100") else phone


# Parsing a number takes longer than all else that is looked at as a text leaves, and it is asked for again and again.
@lru_cache(maxsize=4096)
def _zone_of(phone: str) -> ZoneInfo | None:
    try:
        (name,) = phone_zones.time_zones_for_number(phonenumbers.parse(phone))
        return ZoneInfo(name)
    except (phonenumbers.NumberParseException, ValueError, ZoneInfoNotFoundError):
        return None


def text_time(clinic: Clinic, phone: str, kind: str, instant: datetime) -> datetime:
    """Return the instant itself where a text may go then, else the next time it may.

    The clinic's hours for texts are the wall clock of whoever gets it: ten in the morning here is seven in California.
    """
    if kind in AT_ONCE:
        return instant
    zone = recipient_zone(clinic, phone)
    opens, closes = clinic.settings.text_window
    local = instant.astimezone(zone)
    minute = local.hour * 60 + local.minute
    if opens <= minute < closes:
        return instant
    day = local.date() if minute < opens else local.date() + timedelta(days=1)
    return datetime.combine(day, time(*divmod(opens, 60)), zone).astimezone(UTC)


def text_use_ends(clinic: Clinic, phone: str, kind: str, expires_at: datetime, now: datetime) -> datetime:
    """Return until when the provider may deliver a text that leaves now: while it is of use, and a phone may ring.

    In the last minute of the hours for texts it gets a minute all the same, which is what its provider needs.
    """
    if kind in AT_ONCE:
        return expires_at
    local = now.astimezone(recipient_zone(clinic, phone))
    hour, minute = divmod(clinic.settings.text_window[1], 60)
    day = local.date() + timedelta(days=hour // 24)
    closes_at = datetime.combine(day, time(hour % 24, minute), local.tzinfo).astimezone(UTC)
    return min(expires_at, max(closes_at, now + timedelta(minutes=1)))


class TextRoom(msgspec.Struct, frozen=True, kw_only=True):
    """How many texts a phone may get in a day and in a week, and since when they are counted."""

    per_day: int
    per_week: int
    day_began: datetime
    week_began: datetime

    def is_used_up(self, today: int, this_week: int) -> bool:
        return today >= self.per_day or this_week >= self.per_week


def text_room(clinic: Clinic, phone: str, *, frequent: bool, now: datetime) -> TextRoom:
    """Return the limits for a phone now: its own calendar day, and the last seven days.

    ``frequent`` is whether its owner agreed to more. The usual limits are those under which the law asks for no
    consent (47 CFR 64.1200(a)(9)(iv)): one a day, three a week.
    """
    limits: TextLimits = clinic.settings.text_limits
    midnight = datetime.combine(now.astimezone(zone := recipient_zone(clinic, phone)).date(), time(0), zone)
    return TextRoom(
        per_day=limits.frequent_per_day if frequent else limits.per_day,
        per_week=limits.frequent_per_week if frequent else limits.per_week,
        day_began=midnight.astimezone(UTC),
        week_began=now - WEEK,
    )
