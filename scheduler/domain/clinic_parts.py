"""The tables of a clinic file as a person writes them, each of which can say what does not fit together in it."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import cache
from itertools import combinations
from typing import Annotated, Literal, get_args
from zoneinfo import available_timezones

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from msgspec import Meta, field

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinics import DIGEST_AT, Channel, Credential, Language, Limits, StaffLimits, TextLimits
from scheduler.domain.documents import Part, Problem, Spelled, did_you_mean
from scheduler.domain.times import DAY, Span

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_LONGEST_LEAD_HOURS = 24 * 365
_USUAL = Limits()
_USUAL_TEXTS = TextLimits()
_USUAL_STAFF = StaffLimits()


def _matching(pattern: str, what: str) -> Spelled:
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"is not {what}")
        return text

    return Spelled(str, read)


def _read_clock(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if not match:
        raise ValueError('is not a time from "00:00" to "24:00"')
    hours, minutes = (int(part) for part in match.groups() if part)
    return hours * 60 + minutes


def _read_hours(hours: float) -> int:
    minutes = round(hours * 60, 6)
    if not minutes.is_integer():
        raise ValueError("is not a whole number of minutes")
    return int(minutes)


def _read_phone(text: str) -> str:
    try:
        number = phonenumbers.parse(text, "US")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_valid_number(number):
        raise ValueError("is not a telephone number; write it like (201) 791-1100, or with + and the country's code")
    return text


def _read_email(text: str) -> str:
    try:
        validate_email(text, check_deliverability=False, allow_display_name=True)
    except EmailNotValidError:
        text = ""
    if not text.isprintable() or not text:
        raise ValueError("is not an email address; write it like Clinic <appointments@example.com>")
    return text


def _read_mailbox(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        raise ValueError("is not an email address; write it like desk@example.com, without a name") from None


def _read_zone(text: str) -> str:
    if text not in _zones():
        raise ValueError(f"is not a time zone{did_you_mean(text, _zones()) or '; write it like America/New_York'}")
    return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


Text = Annotated[str, _matching(r"[^\x00-\x1f\x7f]{1,500}", "one line of text, of 1 to 500 characters")]
OptionalText = Annotated[str, _matching(r"[^\x00-\x1f\x7f]{0,500}", "one line of text, of at most 500 characters")]
Code = Annotated[
    str, _matching("[a-z0-9][a-z0-9-]{0,39}", "a code: use lower-case letters, digits and hyphens, at most 40")
]
Clock = Annotated[int, Spelled(str, _read_clock)]
Lead = Annotated[int, Spelled(Annotated[float, Meta(ge=0, le=_LONGEST_LEAD_HOURS)], _read_hours)]
Phone = Annotated[str, Spelled(str, _read_phone)]
EmailAddress = Annotated[str, Spelled(str, _read_email)]
Mailbox = Annotated[str, Spelled(str, _read_mailbox)]
Zone = Annotated[str, Spelled(str, _read_zone)]
Host = Annotated[
    str, _matching("[a-z0-9][a-z0-9.-]{0,252}", "a host name: write it in lower case, without https:// and port")
]
WebAddress = Annotated[str, _matching("https://[^ ]+", "a link that begins with https://")]
LanguageCode = Annotated[str, _matching("[a-z]{2,3}", "a language's code, such as en or es")]


class Window(Part, frozen=True, kw_only=True):
    """A stretch of a day on the clinic's clocks, which may run into the next day."""

    starts: Clock = field(name="from")
    ends: Clock = field(name="to")
    ends_next_day: bool = False

    @property
    def span(self) -> Span:
        """Wall-clock minutes of the day that the window starts on, [start, end)."""
        return self.starts, self.ends + (DAY if self.ends_next_day else 0)

    def problems(self) -> Iterator[Problem]:
        starts, ends = self.span
        if ends <= starts:
            how = "before it starts" if ends < starts else "as it starts"
            yield "", f"ends {how}; for hours past midnight add ends_next_day = true"
        elif starts == DAY:
            yield "", 'starts at "24:00"; write "00:00" of the next day'
        elif ends - starts > DAY:
            yield "", "is longer than 24 hours"


class OpeningHours(Window, frozen=True, kw_only=True):
    """The same window on several days of the week."""

    days: tuple[Weekday, ...]

    def weekly(self) -> Iterator[WeeklyWindow]:
        for day in self.days:
            yield WeeklyWindow(WEEKDAYS.index(day) + 1, *self.span)


class Hours(OpeningHours, frozen=True, kw_only=True):
    """Working hours, which may hold from one date until another, both included."""

    valid_from: date = date.min
    valid_until: date = date.max

    def weekly(self) -> Iterator[WeeklyWindow]:
        for day in self.days:
            yield WeeklyWindow(WEEKDAYS.index(day) + 1, *self.span, self.valid_from, self.valid_until)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.valid_until < self.valid_from:
            yield "valid_until", "is before valid_from"


class DayPlan(Part, frozen=True, kw_only=True):
    """What holds on one date instead of the usual; without windows nothing does."""

    day: date = field(name="date")
    windows: tuple[Window, ...] = ()
    reason: OptionalText = ""

    def problems(self) -> Iterator[Problem]:
        for (earlier, one), (later, other) in combinations(enumerate(self.windows), 2):
            if max(one.span[0], other.span[0]) < min(one.span[1], other.span[1]):
                yield f"windows[{later}]", f"overlaps windows[{earlier}]"


class Closure(DayPlan, frozen=True, kw_only=True):
    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for index, window in enumerate(self.windows):
            if window.span[1] > DAY:
                yield f"windows[{index}]", "runs past midnight; a closure is about one date"


class TherapistPart(Part, frozen=True, kw_only=True):
    display_name: Text = field(name="name")
    credential: Credential
    languages: tuple[LanguageCode, ...]
    performs: tuple[Code, ...]
    email: Mailbox | None = None
    hours: tuple[Hours, ...]
    overrides: tuple[DayPlan, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from overlapping_hours(self.hours)
        yield from repeated_dates("overrides", self.overrides)


class PlacePart(Part, frozen=True, kw_only=True):
    display_name: Text = field(name="name")
    kind: Code


class VisitTypePart(Part, frozen=True, kw_only=True):
    """Durations are written in the unit that the key names, and kept as minutes."""

    names: dict[Language, Text]
    bring: dict[Language, OptionalText]
    about: dict[Language, Text] = field(default_factory=dict[Language, str])
    badge: dict[Language, Text] = field(default_factory=dict[Language, str])
    duration_minutes: Annotated[int, Meta(ge=5, le=480)]
    buffer_before_minutes: Annotated[int, Meta(ge=0, le=120)] = 0
    buffer_after_minutes: Annotated[int, Meta(ge=0, le=120)] = 0
    credential: Credential | None = None
    room_kind: Code | None = None
    equipment_kinds: tuple[Code, ...] = ()
    online: bool
    minimum_notice_minutes: Lead = field(name="minimum_notice_hours")
    horizon_days: Annotated[int, Meta(ge=1, le=730)]
    change_cutoff_minutes: Lead = field(name="change_cutoff_hours")


class BookingPart(Part, frozen=True, kw_only=True):
    grid_minutes: Annotated[int, Meta(ge=1, le=DAY)]
    hold_minutes: Annotated[int, Meta(ge=1, le=60)]
    buffers_within_hours: bool = False
    phone_code: bool = False

    def problems(self) -> Iterator[Problem]:
        if DAY % self.grid_minutes:
            yield "grid_minutes", f"does not divide the {DAY} minutes of a day evenly"


class MessagesPart(Part, frozen=True, kw_only=True):
    email_from: EmailAddress
    consent_wording_version: Text
    text_window: Window
    texts_per_day: Annotated[int, Meta(ge=1, le=100)] = _USUAL_TEXTS.per_day
    texts_per_week: Annotated[int, Meta(ge=1, le=100)] = _USUAL_TEXTS.per_week
    frequent_texts_per_day: Annotated[int, Meta(ge=1, le=100)] = _USUAL_TEXTS.frequent_per_day
    frequent_texts_per_week: Annotated[int, Meta(ge=1, le=100)] = _USUAL_TEXTS.frequent_per_week
    email_reply_to: EmailAddress = ""
    desk_email: Mailbox = ""
    digest_at: Clock = DIGEST_AT

    def problems(self) -> Iterator[Problem]:
        if self.text_window.span[1] > DAY:
            yield "text_window", "runs past midnight; texts go out by day"
        if self.digest_at >= DAY // 2:
            yield "digest_at", "is not in the morning; a digest tells of the day that begins"


class ReminderPart(Part, frozen=True, kw_only=True):
    template: str
    channel: Channel
    lead_minutes: Lead = field(name="lead_hours")
    visit_types: tuple[Code, ...] = ()
    only_unconfirmed: bool = False
    needs_consent: Literal["frequent"] | None = None

    def problems(self) -> Iterator[Problem]:
        if self.needs_consent is not None and self.channel != "sms":
            yield "needs_consent", f"{self.needs_consent} is an agreement to texts, and this reminder is an email"


class LimitsPart(Part, frozen=True, kw_only=True):
    reads_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = _USUAL.reads_per_minute
    changes_per_minute: Annotated[int, Meta(ge=1, le=10_000)] = _USUAL.changes_per_minute
    holds_at_once: Annotated[int, Meta(ge=1, le=1_000)] = _USUAL.holds_at_once
    bookings_per_phone_per_day: Annotated[int, Meta(ge=1, le=1_000)] = _USUAL.bookings_per_phone_per_day
    online_visits_per_phone: Annotated[int, Meta(ge=1, le=1_000)] = _USUAL.online_visits_per_phone
    codes_per_phone_per_day: Annotated[int, Meta(ge=1, le=1_000)] = _USUAL.codes_per_phone_per_day


class StaffPart(Part, frozen=True, kw_only=True):
    idle_minutes: Annotated[int, Meta(ge=1, le=120)] = _USUAL_STAFF.idle_minutes
    session_hours: Annotated[int, Meta(ge=1, le=24)] = _USUAL_STAFF.session_hours


def overlapping_hours(hours: Iterable[OpeningHours], key: str = "hours") -> Iterator[Problem]:
    """Name every entry that shares a minute of the same week with an earlier one. Touching is no overlap."""
    windows = [(index, window) for index, entry in enumerate(hours) for window in entry.weekly()]
    found = {
        (later, earlier): one
        for (earlier, one), (later, other) in combinations(windows, 2)
        if earlier != later and _share_a_minute(one, other)
    }
    for (later, earlier), window in found.items():
        yield f"{key}[{later}]", f"overlaps {key}[{earlier}] on {WEEKDAYS[window.weekday - 1].title()}"


def _share_a_minute(one: WeeklyWindow, other: WeeklyWindow) -> bool:
    if max(one.valid_from, other.valid_from) > min(one.valid_until, other.valid_until):
        return False
    days_apart = other.weekday - one.weekday
    # A window of Sunday night runs into Monday, hence the week before and the week after.
    return any(
        max(one.starts, other.starts + days * DAY) < min(one.ends, other.ends + days * DAY)
        for days in (days_apart - 7, days_apart, days_apart + 7)
    )


def repeated_dates(key: str, plans: Iterable[DayPlan]) -> Iterator[Problem]:
    """Name every plan for a date that an earlier one is about already."""
    seen: set[date] = set()
    for index, plan in enumerate(plans):
        if plan.day in seen:
            yield f"{key}[{index}]", f"is a second entry for {plan.day}"
        seen.add(plan.day)
