"""The clinic as data: who treats, where, what a visit is, and the limits that bind patients."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

Language = Literal["en", "es"]
Channel = Literal["sms", "email"]
Credential = Literal["PT", "PTA"]

LANGUAGES: tuple[Language, ...] = ("en", "es")

# When a clinic that says nothing else sends the digests, in wall-clock minutes.
DIGEST_AT = 6 * 60 + 30


class VisitType(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of appointment. Texts are by language; all times are minutes.

    ``about`` is a sentence on what happens there, and ``badge`` a word to those whom it is for; most have neither.
    """

    code: str
    names: dict[str, str]
    bring: dict[str, str]
    about: dict[str, str] = {}
    badge: dict[str, str] = {}
    duration_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    credential: Credential | None
    room_kind: str | None
    equipment_kinds: tuple[str, ...]
    online: bool
    minimum_notice_minutes: int
    horizon_days: int
    change_cutoff_minutes: int

    @property
    def duration(self) -> timedelta:
        return timedelta(minutes=self.duration_minutes)

    @property
    def buffer_before(self) -> timedelta:
        return timedelta(minutes=self.buffer_before_minutes)

    @property
    def buffer_after(self) -> timedelta:
        return timedelta(minutes=self.buffer_after_minutes)


class Therapist(msgspec.Struct, frozen=True, kw_only=True):
    """A person who treats, and the codes of the visit types they perform."""

    id: UUID
    code: str
    display_name: str
    credential: Credential
    languages: tuple[str, ...]
    visit_types: frozenset[str]

    def may_perform(self, visit_type: VisitType) -> bool:
        """Whether this therapist performs the type and holds the credential that it needs.

        A PT may do what a PTA may do; the reverse does not hold.
        """
        holds_credential = visit_type.credential is None or self.credential in ("PT", visit_type.credential)
        return holds_credential and visit_type.code in self.visit_types


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A room or a piece of equipment. Any one of a ``kind`` serves a visit type that needs the kind."""

    id: UUID
    code: str
    display_name: str
    kind: str


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the reminder ladder: which text goes how many minutes before the visit, over which channel.

    ``visit_types`` limits the rung to these codes; empty means every type. ``only_unconfirmed`` leaves out visits that
    the patient has confirmed, and ``needs_consent`` patients who have not agreed to this scope.
    """

    template: str
    channel: Channel
    lead_minutes: int
    visit_types: tuple[str, ...] = ()
    only_unconfirmed: bool = False
    needs_consent: Literal["frequent"] | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much the public may ask for. A client is an address, or the /64 of one; keys have no such limits.

    ``reads_per_minute`` and ``changes_per_minute`` are for each client, as is ``holds_at_once``, the holds that have
    not run out. ``online_visits_per_phone`` are visits to come that the public booked with one phone, and
    ``codes_per_phone_per_day`` the codes texted to one, and the links texted to one that ask for a new link.
    """

    reads_per_minute: int = 240
    changes_per_minute: int = 30
    holds_at_once: int = 6
    bookings_per_phone_per_day: int = 10
    online_visits_per_phone: int = 12
    codes_per_phone_per_day: int = 5


class TextLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many texts a phone gets in a day and in seven days; ``frequent`` is for patients who agreed to more.

    Answers to a patient's own text and cancellations by the clinic are not counted.
    """

    per_day: int = 1
    per_week: int = 3
    frequent_per_day: int = 2
    frequent_per_week: int = 6


class StaffLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long staff stay signed in: without doing anything, and at all."""

    idle_minutes: int = 10
    session_hours: int = 12


class ClinicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the clinic file says beside the people, places and hours, which have tables of their own.

    ``opening_hours`` are wall-clock (start, end) minutes by ISO weekday, Monday first, for people to read;
    therapists' own windows decide what can be booked. ``text_window`` is the part of the day, in wall-clock
    minutes, in which texts may be sent.
    """

    name: str
    sms_name: str
    phone: str
    address: str
    map_url: str
    email_from: str
    hosts: tuple[str, ...]
    languages: tuple[Language, ...]
    opening_hours: tuple[tuple[tuple[int, int], ...], ...]
    grid_minutes: int
    hold_minutes: int
    buffers_within_hours: bool
    text_window: tuple[int, int]
    consent_wording_version: str
    reminders: tuple[Reminder, ...]
    # Clinics that were applied before there were limits have the usual ones.
    limits: Limits = Limits()
    text_limits: TextLimits = TextLimits()
    staff: StaffLimits = StaffLimits()
    # Where answers to emails go, if not to their sender.
    email_reply_to: str = ""
    # Where the front desk hears of what it should see to, if by email; and when therapists with an address get the
    # digest of their day, in wall-clock minutes.
    desk_email: str = ""
    digest_at: int = DIGEST_AT
    # How the name begins, where the pages say that much of it in large letters and the rest below.
    short_name: str = ""
    # Whether a booking from the clinic's pages is final only once a code that was texted to the phone is typed in.
    phone_code: bool = False


class Clinic(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One location with everything that changes rarely. Loaded when a process starts and when it is applied anew."""

    id: UUID
    code: str
    timezone: str
    settings: ClinicSettings
    visit_types: dict[str, VisitType]
    therapists: dict[str, Therapist]
    rooms: dict[str, Place]
    equipment: dict[str, Place]

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def therapists_by_id(self) -> dict[UUID, Therapist]:
        return {therapist.id: therapist for therapist in self.therapists.values()}

    @cached_property
    def rooms_by_id(self) -> dict[UUID, Place]:
        return {room.id: room for room in self.rooms.values()}

    @cached_property
    def equipment_by_id(self) -> dict[UUID, Place]:
        return {device.id: device for device in self.equipment.values()}

    def therapist_code(self, therapist_id: UUID) -> str:
        """Return a therapist's code, or the id of one who is no longer, or not yet, known here."""
        therapist = self.therapists_by_id.get(therapist_id)
        return therapist.code if therapist else str(therapist_id)

    def local(self, instant: datetime) -> datetime:
        """Return the instant as the clinic's clocks show it."""
        return instant.astimezone(self.zone)
