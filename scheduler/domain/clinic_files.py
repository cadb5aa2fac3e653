"""The clinic file: read, checked as a whole, and turned into what the database holds. Pure; nothing is opened here."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from uuid import UUID

import msgspec

from scheduler.domain.calendars import WeeklyWindow, merge_touching
from scheduler.domain.clinic_parts import (
    BookingPart,
    Closure,
    Code,
    DayPlan,
    Host,
    LimitsPart,
    MessagesPart,
    OpeningHours,
    OptionalText,
    Phone,
    PlacePart,
    ReminderPart,
    StaffPart,
    Text,
    TherapistPart,
    VisitTypePart,
    WebAddress,
    Zone,
    overlapping_hours,
    repeated_dates,
)
from scheduler.domain.clinics import (
    Channel,
    ClinicSettings,
    Credential,
    Language,
    Limits,
    Reminder,
    StaffLimits,
    TextLimits,
    Therapist,
    VisitType,
)
from scheduler.domain.documents import Part, Problem, did_you_mean, parse_toml, read_part
from scheduler.domain.times import Span
from scheduler.errors import ConfigurationError

# The texts that a rung of the ladder may name, by channel, as long as nobody says otherwise.
REMINDER_TEMPLATES: Mapping[Channel, Collection[str]] = {
    "email": ("reminder_72h", "reminder_24h"),
    "sms": ("reminder_72h", "reminder_24h", "reminder_2h"),
}


class DatedWindows(msgspec.Struct, frozen=True):
    """The wall-clock minutes, sorted, that hold on one date instead of the usual; none means closed, or off."""

    day: date
    windows: tuple[Span, ...]
    reason: str


class TherapistEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A therapist as the file has them. ``weekly`` is sorted, and windows that touch are one."""

    code: str
    display_name: str
    credential: Credential
    languages: tuple[str, ...]
    performs: tuple[str, ...]
    email: str | None
    weekly: tuple[WeeklyWindow, ...]
    overrides: tuple[DatedWindows, ...]


class PlaceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A room or a device as the file has it."""

    code: str
    display_name: str
    kind: str


class ClinicFile(msgspec.Struct, frozen=True, kw_only=True):
    """One clinic as its file says it, in the file's order. ``warnings`` are sentences that name the file and key."""

    file: str
    code: str
    timezone: str
    settings: ClinicSettings
    visit_types: tuple[VisitType, ...]
    therapists: tuple[TherapistEntry, ...]
    rooms: tuple[PlaceEntry, ...]
    equipment: tuple[PlaceEntry, ...]
    closures: tuple[DatedWindows, ...]
    warnings: tuple[str, ...]


class Document(Part, frozen=True, kw_only=True):
    """The whole file as a person writes it."""

    code: Code
    name: Text
    short_name: OptionalText = ""
    sms_name: Text
    timezone: Zone
    phone: Phone
    address: Text
    map_url: WebAddress
    hosts: tuple[Host, ...] = ()
    languages: tuple[Language, ...]
    opening_hours: tuple[OpeningHours, ...]
    booking: BookingPart
    messages: MessagesPart
    limits: LimitsPart = LimitsPart()
    staff: StaffPart = StaffPart()
    reminders: tuple[ReminderPart, ...] = ()
    visit_types: dict[Code, VisitTypePart]
    therapists: dict[Code, TherapistPart]
    rooms: dict[Code, PlacePart] = msgspec.field(default_factory=dict[str, PlacePart])
    equipment: dict[Code, PlacePart] = msgspec.field(default_factory=dict[str, PlacePart])
    closures: tuple[Closure, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from overlapping_hours(self.opening_hours, "opening_hours")
        yield from repeated_dates("closures", self.closures)
        if not self.languages:
            yield "languages", "names no language"
        if not self.name.startswith(self.short_name):
            yield "short_name", "is not how name begins"
        yield from self._missing_languages()
        yield from self._unknown_visit_types()
        yield from self._repeated_reminders()
        yield from self._impossible_visit_types()

    def _missing_languages(self) -> Iterator[Problem]:
        for code, visit_type in self.visit_types.items():
            optional = (("about", visit_type.about), ("badge", visit_type.badge))
            needed = [("names", visit_type.names), ("bring", visit_type.bring), *(pair for pair in optional if pair[1])]
            for key, texts in needed:
                for language in self.languages:
                    if language not in texts:
                        yield f"visit_types.{code}.{key}.{language}", "is missing"

    def _unknown_visit_types(self) -> Iterator[Problem]:
        lists = [(f"therapists.{code}.performs", therapist.performs) for code, therapist in self.therapists.items()]
        lists += [(f"reminders[{index}].visit_types", rung.visit_types) for index, rung in enumerate(self.reminders)]
        for path, codes in lists:
            for index, code in enumerate(codes):
                if code not in self.visit_types:
                    yield f"{path}[{index}]", f"{code} is not a visit type{did_you_mean(code, self.visit_types)}"

    def _repeated_reminders(self) -> Iterator[Problem]:
        seen: dict[tuple[str, str, int, str], int] = {}
        for index, rung in enumerate(self.reminders):
            for visit_type in rung.visit_types or self.visit_types:
                same = seen.setdefault((rung.template, rung.channel, rung.lead_minutes, visit_type), index)
                if same != index:
                    yield f"reminders[{index}]", f"is the same as reminders[{same}] for {visit_type}"
                    break

    def _impossible_visit_types(self) -> Iterator[Problem]:
        therapists = [_person(code, part) for code, part in self.therapists.items()]
        room_kinds = {room.kind for room in self.rooms.values()}
        equipment_kinds = {device.kind for device in self.equipment.values()}
        for visit_type in self.resolved_visit_types():
            path = f"visit_types.{visit_type.code}"
            if not any(therapist.may_perform(visit_type) for therapist in therapists):
                needed = " and is a PT" if visit_type.credential == "PT" else ""
                yield path, f"has no therapist who may perform it: none lists it under performs{needed}"
            if visit_type.room_kind and visit_type.room_kind not in room_kinds:
                yield f"{path}.room_kind", _no_such_kind("room", visit_type.room_kind, room_kinds)
            for index, kind in enumerate(visit_type.equipment_kinds):
                if kind not in equipment_kinds:
                    yield f"{path}.equipment_kinds[{index}]", _no_such_kind("equipment", kind, equipment_kinds)

    def resolved_visit_types(self) -> tuple[VisitType, ...]:
        return tuple(
            VisitType(code=code, **msgspec.structs.asdict(visit_type)) for code, visit_type in self.visit_types.items()
        )

    def warnings(self) -> Iterator[Problem]:
        """Tell what works but will surprise somebody."""
        for code, visit_type in self.visit_types.items():
            if visit_type.online and visit_type.minimum_notice_minutes < visit_type.change_cutoff_minutes:
                yield (
                    f"visit_types.{code}.minimum_notice_hours",
                    "is shorter than change_cutoff_hours: patients can book what they can no longer change online",
                )


def parse(text: str, name: str, templates: Mapping[Channel, Collection[str]] = REMINDER_TEMPLATES) -> ClinicFile:
    """Return the clinic that the text of a TOML file describes; ``name`` is what the file is called in messages.

    ``templates`` are the message texts, by channel, that its reminders may name.
    Raises ConfigurationError with one line for everything that is wrong, each naming the file and the key. How the
    parts of the file fit together is looked at once every single value can be read.
    """
    try:
        values = parse_toml(text)
    except ValueError as problem:
        raise ConfigurationError(f"{name}: {problem}") from problem
    document, problems = read_part(values, Document)
    if document is not None:
        problems += _unknown_templates(document, templates)
    if document is None or problems:
        raise ConfigurationError("\n".join(_sentences(name, problems)))
    return ClinicFile(
        file=name,
        code=document.code,
        timezone=document.timezone,
        settings=_settings(document),
        visit_types=document.resolved_visit_types(),
        therapists=tuple(_therapist(code, part) for code, part in document.therapists.items()),
        rooms=_place_entries(document.rooms),
        equipment=_place_entries(document.equipment),
        closures=tuple(_dated(plan) for plan in document.closures),
        warnings=tuple(_sentences(name, document.warnings())),
    )


def _unknown_templates(document: Document, templates: Mapping[Channel, Collection[str]]) -> Iterator[Problem]:
    for index, rung in enumerate(document.reminders):
        known = templates.get(rung.channel, ())
        if rung.template not in known:
            yield (
                f"reminders[{index}].template",
                f"there is no {rung.channel} text {rung.template}{did_you_mean(rung.template, known)}",
            )


def _dated(plan: DayPlan) -> DatedWindows:
    spans: list[Span] = []
    for starts, ends in sorted(window.span for window in plan.windows):
        if spans and spans[-1][1] == starts:
            spans[-1] = (spans[-1][0], ends)
        else:
            spans.append((starts, ends))
    return DatedWindows(plan.day, tuple(spans), plan.reason)


def _therapist(code: str, part: TherapistPart) -> TherapistEntry:
    return TherapistEntry(
        code=code,
        display_name=part.display_name,
        credential=part.credential,
        languages=part.languages,
        performs=part.performs,
        email=part.email,
        weekly=merge_touching(window for entry in part.hours for window in entry.weekly()),
        overrides=tuple(_dated(plan) for plan in part.overrides),
    )


def _person(code: str, part: TherapistPart) -> Therapist:
    """Return the therapist that the rule of who may perform what can be asked about, before there is an id."""
    return Therapist(
        id=UUID(int=0),
        code=code,
        display_name=part.display_name,
        credential=part.credential,
        languages=part.languages,
        visit_types=frozenset(part.performs),
    )


def _place_entries(places: dict[str, PlacePart]) -> tuple[PlaceEntry, ...]:
    return tuple(
        PlaceEntry(code=code, display_name=place.display_name, kind=place.kind) for code, place in places.items()
    )


def _settings(document: Document) -> ClinicSettings:
    opening = [window for entry in document.opening_hours for window in entry.weekly()]
    return ClinicSettings(
        name=document.name,
        sms_name=document.sms_name,
        phone=document.phone,
        address=document.address,
        map_url=document.map_url,
        email_from=document.messages.email_from,
        hosts=document.hosts,
        languages=document.languages,
        opening_hours=tuple(
            tuple((window.starts, window.ends) for window in merge_touching(opening) if window.weekday == weekday)
            for weekday in range(1, 8)
        ),
        grid_minutes=document.booking.grid_minutes,
        hold_minutes=document.booking.hold_minutes,
        buffers_within_hours=document.booking.buffers_within_hours,
        text_window=document.messages.text_window.span,
        consent_wording_version=document.messages.consent_wording_version,
        reminders=tuple(Reminder(**msgspec.structs.asdict(rung)) for rung in document.reminders),
        limits=Limits(**msgspec.structs.asdict(document.limits)),
        staff=StaffLimits(**msgspec.structs.asdict(document.staff)),
        text_limits=TextLimits(
            per_day=document.messages.texts_per_day,
            per_week=document.messages.texts_per_week,
            frequent_per_day=document.messages.frequent_texts_per_day,
            frequent_per_week=document.messages.frequent_texts_per_week,
        ),
        email_reply_to=document.messages.email_reply_to,
        desk_email=document.messages.desk_email,
        digest_at=document.messages.digest_at,
        short_name=document.short_name,
        phone_code=document.booking.phone_code,
    )


def _no_such_kind(what: str, kind: str, known: Iterable[str]) -> str:
    return f"no {what} is of the kind {kind}{did_you_mean(kind, known)}"


def _sentences(name: str, problems: Iterable[Problem]) -> list[str]:
    return [f"{name}: {path}: {sentence}" if path else f"{name}: {sentence}" for path, sentence in problems]
