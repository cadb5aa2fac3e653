"""The audit: who saw and changed what, for administrators, and the same as a file."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, cast, get_args
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import Stream

from scheduler.domain.clinics import Clinic
from scheduler.services import audits as services
from scheduler.store.audit import AuditEvent
from scheduler.store.audit_pages import AuditFilter, Kind
from scheduler.store.connections import Pool
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages import dates
from scheduler.web.pages.render import PageRequest, see_other
from scheduler.web.staff.periods import Period, read_period, usual_periods
from scheduler.web.staff.render import RECORDS_STYLESHEET, shown_name, staff_page
from scheduler.web.staff.session import FromStaff, StaffMember, roles
from scheduler.web.staff.tables import Cell, csv_file

FromPool = NamedDependency[Pool]

AUDIT = "/staff/audit"
SHOWN = 100
USUAL_DAYS = 7

_INVALID = 422

_KINDS: dict[Kind, str] = {"changes": "Changes", "looks": "Looks at records", "sign-ins": "Accounts and sign-ins"}

# What rows call themselves is read by programs; these say it better to a person. The others are their own words.
_ACTIONS = {
    "patient.read": "Looked at a patient",
    "patient.card_read": "Looked at a patient's card",
    "patient.consents_read": "Looked at a patient's consents",
    "patient.visits_listed": "Looked at a patient's visits",
    "patient.exported": "Took out all of a patient's data",
    "patients.listed": "Saw patients in a list",
    "visit.read": "Looked at a visit",
    "visit.history_read": "Looked at a visit's history",
    "visits.listed": "Saw visits in a list",
    "messages.listed": "Saw messages in a list",
    "message.read": "Looked at a message",
    "inbox.listed": "Saw what waits for the desk",
    "ops.listed": "Saw patients on the page of health",
    "patient.phone_read": "Looked at a patient's phone number",
    "audit.listed": "Looked at the audit",
    "audit.exported": "Took out a part of the audit",
}

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")

_HEADINGS = ("at", "who", "actor", "action", "patient_id", "visit_id", "request_id", "details")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the page's address asks for."""

    period: Period
    actor: str
    kind: Kind | None
    patient_id: UUID | None
    before: UUID | None

    def wanted(self, clinic: Clinic) -> AuditFilter:
        return AuditFilter(
            starts=self.period.starts(clinic),
            ends=self.period.ends(clinic),
            actor=self.actor or None,
            patient_id=self.patient_id,
            kind=self.kind,
        )

    def query(self, **more: str) -> str:
        """Return the address's query for this, with more or other parts; an empty one is left out."""
        parts = {
            **self.period.typed, "who": self.actor, "what": self.kind or "",
            "patient": str(self.patient_id or ""), **more,
        }  # fmt: skip
        return urlencode({name: value for name, value in parts.items() if value})


@get("/audit", guards=[roles("admin")])
async def show_audit(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[str]:
    """Show what people and programs did and saw, the newest first."""
    asked = _read(request, staff, now)
    async with unit_of_work(pool) as connection:
        page = await services.read_page(
            connection, staff.clinic, asked.wanted(staff.clinic), before=asked.before, limit=SHOWN, actor=staff.actor
        )
        actors = await services.list_actors(connection, staff.clinic)
    about = page.patients.get(asked.patient_id) if asked.patient_id else None
    older = f"{AUDIT}?{asked.query(before=str(page.events[-1].id))}" if page.more else None
    return staff_page(
        staff,
        "staff/audit.html",
        title="Error: Audit" if asked.period.problems else "Audit",
        section="audit",
        status=_INVALID if asked.period.problems else 200,
        staff_stylesheet=RECORDS_STYLESHEET,
        zone=dates.zone_name(staff.clinic, "en"),
        period=asked.period,
        periods=usual_periods(AUDIT, request.query_params, today=staff.clinic.local(now).date()),
        actors=actors,
        actor=asked.actor,
        kinds=_KINDS,
        kind=asked.kind,
        patient_id=asked.patient_id,
        about=shown_name(staff, about.given_name, about.family_name) if about else "a patient",
        everybody=f"{AUDIT}?{asked.query(patient='')}",
        rows=[_row(event, page, staff, asked) for event in page.events],
        older=older,
        newest=f"{AUDIT}?{asked.query()}" if asked.before else None,
        file=f"{AUDIT}/file.csv?{asked.query()}",
    )


@get("/audit/file.csv", guards=[roles("admin")])
async def export_audit(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[Any] | Stream:
    """Give out the rows that are wanted as a file, of which a row tells."""
    asked = _read(request, staff, now)
    if asked.period.problems:
        return see_other(f"{AUDIT}?{asked.query()}")
    wanted, clinic = asked.wanted(staff.clinic), staff.clinic
    async with unit_of_work(pool) as connection:
        await services.begin_export(connection, clinic, wanted, actor=staff.actor)

    async def rows() -> AsyncIterator[list[Cell]]:
        async for event, name in services.export_rows(pool, clinic, wanted):
            yield _cells(event, name, clinic)

    return csv_file(f"audit-{asked.period.first}-{asked.period.last}", _HEADINGS, rows())


def action_words(action: str) -> str:
    """Return what was done, as in "Visit rescheduled"."""
    words = action.replace(".", " ").replace("_", " ").replace("-", " ")
    return _ACTIONS.get(action) or dates.sentence(words)


def _read(request: PageRequest, staff: StaffMember, now: datetime) -> Asked:
    query = request.query_params
    kinds = {kind: kind for kind in get_args(Kind)}
    return Asked(
        period=read_period(query, today=staff.clinic.local(now).date(), days=USUAL_DAYS),
        actor=query.get("who", ""),
        kind=cast("Kind | None", kinds.get(query.get("what", ""))),
        patient_id=_uuid(query, "patient"),
        before=_uuid(query, "before"),
    )


def _uuid(query: Mapping[str, str], name: str) -> UUID | None:
    try:
        return UUID(query.get(name, ""))
    except ValueError:
        return None


def _row(event: AuditEvent, page: services.AuditPage, staff: StaffMember, asked: Asked) -> dict[str, Any]:
    moment = staff.clinic.local(event.at)
    patient = page.patients.get(event.patient_id) if event.patient_id else None
    starts = page.starts.get(event.visit_id) if event.visit_id else None
    listed = len(event.details.get("patients", []))
    return {
        "day": dates.short_day(moment.date(), "en"),
        "time": f"{moment:%H:%M:%S}",
        "who": page.names[event.actor],
        "action": action_words(event.action),
        "patient": shown_name(staff, patient.given_name, patient.family_name) if patient else "",
        "only": f"{AUDIT}?{asked.query(patient=str(event.patient_id))}" if patient else "",
        "listed": f"{listed} patient{'' if listed == 1 else 's'}" if listed else "",
        "visit": starts and dates.when(staff.clinic.local(starts), "en"),
        "day_address": starts and f"/staff/day/{staff.clinic.local(starts).date()}?sel={event.visit_id}",
        "details": _details(event, staff.clinic),
    }


def _cells(event: AuditEvent, name: str, clinic: Clinic) -> list[Cell]:
    return [
        clinic.local(event.at).isoformat(),
        name,
        event.actor,
        event.action,
        str(event.patient_id or ""),
        str(event.visit_id or ""),
        event.request_id,
        _details(event),
    ]


def _details(event: AuditEvent, clinic: Clinic | None = None) -> str:
    """Return what a row says besides, as in "from: booked; reason: asked by phone": for people where a clinic is given.

    A file keeps everything as it was written; a page leaves out what it shows elsewhere.
    """
    kept = {key: value for key, value in event.details.items() if value not in (None, "", [], {})}
    if clinic is None:
        return "; ".join(f"{key}: {_raw(value)}" for key, value in kept.items())
    kept.pop("patients", None)
    return "; ".join(f"{_plain(key)}: {_said(value, clinic)}" for key, value in kept.items())


def _raw(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _said(value: Any, clinic: Clinic) -> str:
    match value:
        case dict():
            pairs = cast("dict[str, Any]", value).items()
            return ", ".join(f"{_plain(key)} {_said(inner, clinic)}" for key, inner in pairs)
        case list():
            return ", ".join(_said(inner, clinic) for inner in cast("list[Any]", value))
        case str() if _INSTANT.fullmatch(value):
            moment = clinic.local(datetime.fromisoformat(value))
            return f"{dates.short_day(moment.date(), 'en')}, {dates.clock(moment, 'en')}"
        case _:
            return str(value)


def _plain(word: str) -> str:
    return word.rstrip("_").replace("_", " ")


AUDIT_PAGES = [show_audit, export_audit]
