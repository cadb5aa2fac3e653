"""Values of parameters and bodies made into what services take, with every problem named by its field."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import HeaderParameter

from scheduler.domain.clinics import LANGUAGES, Clinic, Language, Place, Therapist, VisitType
from scheduler.domain.patients import PatientDetails, read_birth_date, read_email, read_name, read_phone
from scheduler.domain.times import day_start, is_whole_minute
from scheduler.errors import FieldError, InvalidRequest

# A start further away than this is a slip of the keyboard.
FURTHEST = timedelta(days=2 * 365)

# Times outside these are slips too, and calendars cannot count as far as some of them.
EARLIEST_YEAR, LATEST_YEAR = 1970, 2200

# Staff type in a visit that has just begun; nobody books into yesterday.
STAFF_MAY_LOOK_BACK = timedelta(hours=1)

# The longest stretch of slots that one request may ask for (API contract).
LONGEST_QUERY_DAYS = 62

# Where the two ends of a query stand, as problems name them.
FROM, TO = "?from", "?to"

DateTimeText = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339 with an offset",
        examples=["2026-12-08T09:45:00-05:00"],
        extra_json_schema={"format": "date-time"},
    ),
]

_ETAG = re.compile(r'"(\d{1,9})"')


IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description='The ETag of the visit as it was last seen, like "3"')
]


# What a person must say in words; blanks say nothing.
NOT_BLANK = r"\S"

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=NOT_BLANK)]
WordingVersion = Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=NOT_BLANK, examples=["2026-11"])]


class ConsentBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the patient said about texts, and the version of the words that they were shown."""

    granted: bool
    wording_version: WordingVersion


class PatientBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A patient as a caller describes them."""

    given_name: Annotated[str, msgspec.Meta(examples=["Ash"])]
    family_name: Annotated[str, msgspec.Meta(examples=["Sample"])]
    phone: Annotated[str, msgspec.Meta(examples=["201 555 0142"])]
    email: Annotated[str, msgspec.Meta(examples=["ash@example.com"])] | None = None
    birth_date: date | None = None
    language: Annotated[str, msgspec.Meta(examples=["en"])] | None = None
    sms_consent: ConsentBody | None = None


class Problems(list[FieldError]):
    """Problems gathered while a request is read, so that all of them can be told at once."""

    def add(self, pointer: str, code: str, detail: str) -> None:
        self.append(FieldError(pointer, code, detail))

    def settle(self) -> None:
        """Raise InvalidRequest if there were any."""
        if self:
            raise InvalidRequest(*self)


def read_start(value: str, pointer: str, problems: Problems, *, now: datetime, staff: bool) -> datetime:
    """Return the start of a visit in UTC: RFC 3339 with an offset, a whole minute, not past and not years away."""
    start = read_instant(value, pointer, problems)
    if start is None:
        return now
    if not is_whole_minute(start):
        problems.add(pointer, "time-not-whole", "Visits start on a whole minute")
    elif start < now - (STAFF_MAY_LOOK_BACK if staff else timedelta(0)):
        problems.add(pointer, "time-in-the-past", "This time is past")
    elif start > now + FURTHEST:
        problems.add(pointer, "time-too-far", "This time is more than two years ahead")
    return start.astimezone(UTC)


def read_instant(value: str, pointer: str, problems: Problems) -> datetime | None:
    # A plus sign in a query string arrives as a blank when the caller forgot to encode it; in a body a blank is one.
    text = re.sub(r" (?=\d\d:\d\d$)", "+", value) if pointer.startswith("?") else value
    try:
        instant = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        problems.add(pointer, "time-invalid", "Enter a time like 2026-12-08T09:45:00-05:00")
        return None
    if not EARLIEST_YEAR <= instant.year <= LATEST_YEAR:
        problems.add(pointer, "time-out-of-range", f"Use a year from {EARLIEST_YEAR} to {LATEST_YEAR}")
        return None
    if instant.tzinfo is None:
        problems.add(pointer, "time-without-offset", "Say the offset as well, like 2026-12-08T09:45:00-05:00")
        return None
    return instant


def read_bound(value: str, pointer: str, problems: Problems, clinic: Clinic) -> int:
    """Return the epoch minute of one end of a query: a clinic date, meaning its beginning, or an instant.

    Seconds make the span smaller: slots start and end on whole minutes, within what was asked for.
    """
    moment = _read_moment(value, pointer, problems, clinic)
    if moment is None:
        return 0
    minute = moment.timestamp() / 60
    return math.ceil(minute) if pointer == FROM else math.floor(minute)


def read_bounds(
    from_: str | None, to: str | None, problems: Problems, clinic: Clinic, *, usually_from: datetime | None = None
) -> tuple[datetime | None, datetime | None]:
    """Return both ends of a list as instants in UTC, None for one that is open; an empty stretch is refused.

    They are as exact as they were sent: what a list is of may be due at any fraction of a second.
    """
    before = len(problems)
    starts, ends = (
        None if value is None else _read_moment(value, pointer, problems, clinic)
        for value, pointer in ((from_, FROM), (to, TO))
    )
    starts = starts or usually_from
    if len(problems) == before and starts is not None and ends is not None and starts >= ends:
        refuse_empty_range(problems)
    return starts, ends


def _read_moment(value: str, pointer: str, problems: Problems, clinic: Clinic) -> datetime | None:
    """Return a clinic date's beginning, or an instant as it is, in UTC."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is not None and EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        return datetime.fromtimestamp(day_start(day, clinic.zone) * 60, UTC)
    instant = read_instant(value, pointer, problems)
    return None if instant is None else instant.astimezone(UTC)


def refuse_empty_range(problems: Problems) -> None:
    """Refuse a query that ends before it begins, or at once: nobody means that."""
    problems.add(TO, "range-empty", "This must be after `from`")


def read_visit_type(code: str, pointer: str, problems: Problems, clinic: Clinic) -> VisitType | None:
    visit_type = clinic.visit_types.get(code)
    if visit_type is None:
        known = ", ".join(clinic.visit_types)
        problems.add(pointer, "visit-type-unknown", f"There is no such visit type; choose from {known}")
    return visit_type


def read_therapist(code: str | None, pointer: str, problems: Problems, clinic: Clinic) -> Therapist | None:
    therapist = clinic.therapists.get(code) if code is not None else None
    if therapist is None and code is not None:
        known = ", ".join(clinic.therapists)
        problems.add(pointer, "therapist-unknown", f"There is no such therapist; choose from {known}")
    return therapist


def read_room(
    code: str | None, pointer: str, problems: Problems, clinic: Clinic, visit_type: VisitType | None
) -> Place | None:
    room = clinic.rooms.get(code) if code is not None else None
    if room is None and code is not None:
        problems.add(pointer, "room-unknown", f"There is no such room; choose from {', '.join(clinic.rooms)}")
    if room is not None and visit_type is not None and room.kind != visit_type.room_kind:
        problems.add(pointer, "room-unfit", "This room is not of the kind that the visit type needs")
    return room


def read_patient(body: PatientBody, pointer: str, problems: Problems, clinic: Clinic, now: datetime) -> PatientDetails:
    """Return the patient's details, normalised; every field that is wrong is named."""
    return PatientDetails(
        given_name=read_name(body.given_name, f"{pointer}/given_name", problems),
        family_name=read_name(body.family_name, f"{pointer}/family_name", problems),
        phone=read_phone(body.phone, f"{pointer}/phone", problems),
        email=read_email(body.email, f"{pointer}/email", problems) if body.email is not None else None,
        birth_date=read_birth_date(body.birth_date, now, f"{pointer}/birth_date", problems),
        language=read_language(body.language, f"{pointer}/language", problems, clinic)
        if body.language is not None
        else None,
    )


def read_language(value: str, pointer: str, problems: Problems, clinic: Clinic) -> Language | None:
    language: Language | None = next((known for known in LANGUAGES if known == value), None)
    if language not in clinic.settings.languages:
        problems.add(pointer, "language-unknown", f"Choose from {', '.join(clinic.settings.languages)}")
        return None
    return language


def read_version(if_match: str) -> int:
    """Return the version in an If-Match header. Raises InvalidRequest for another form."""
    etag = _ETAG.fullmatch(if_match.strip())
    if etag is None:
        raise InvalidRequest(FieldError("If-Match", "invalid", 'Send the ETag of the visit as you got it, like "3"'))
    return int(etag[1])


def read_uuid(value: str, pointer: str, problems: Problems) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        problems.add(pointer, "id-invalid", "This is not an id")
        return None
