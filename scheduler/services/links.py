"""Private links: what one opens, and what the links of visits are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain.clinics import Clinic
from scheduler.domain.links import hash_token, link_hash, manage_url, opens_until
from scheduler.domain.messages import PlannedMessage, visit_variables
from scheduler.domain.own_visits import BY_LINK, look_at, texting
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit
from scheduler.errors import LinkExpired
from scheduler.services.own_visits import OwnVisit
from scheduler.store import links as store
from scheduler.store.connections import Connection
from scheduler.store.hours import list_closures
from scheduler.store.messages import add_messages
from scheduler.store.patients import texts_were_stopped, wants_email_reminders

# How many visits get their link at once.
_BATCH = 500

# Whoever asks for a link by text waits for it with the phone in their hand.
_LINK_USEFUL_FOR = timedelta(hours=1)
_ONCE_IN_MINUTES = 10

# Three visits a week for two months.
_MOST_OTHERS = 24


async def open_link(connection: Connection, clinics: Sequence[Clinic], token: str, now: datetime) -> OwnVisit:
    """Return the visit that a token leads to at one of these clinics, as its patient sees it.

    Raises LinkExpired for a token that is unknown, revoked, of another clinic or too old: nobody can tell which.
    """
    by_id = {clinic.id: clinic for clinic in clinics}
    linked = await store.fetch_linked_visit(connection, list(by_id), hash_token(token))
    if linked is None or now >= opens_until(linked.visit, by_id[linked.clinic_id].zone):
        raise LinkExpired
    clinic, visit, patient = by_id[linked.clinic_id], linked.visit, linked.patient
    day = clinic.local(visit.starts_at).date()
    closures = await list_closures(connection, clinic.id, first_day=day, last_day=day, limit=1)
    stopped = not patient.sms_consent and await texts_were_stopped(
        connection, clinic.id, patient.phone, except_by=BY_LINK
    )
    emailing = None
    if patient.email is not None:
        wanted = await wants_email_reminders(connection, clinic.id, patient.id)
        emailing = "stopped" if patient.email_consent is False else "on" if wanted else "off"
    return OwnVisit(
        clinic=clinic,
        visit=visit,
        patient=patient,
        outlook=look_at(clinic, visit, linked.last_change, now, opened=closures[0].plan.windows if closures else None),
        texting=texting(patient, stopped=stopped),
        emailing=emailing,
    )


async def find_owner(
    connection: Connection, clinics: Sequence[Clinic], token: str, *, now: datetime
) -> tuple[Clinic, Visit, Patient] | None:
    """Return the next visit of whoever once got a token, however old it is; None where there is nobody, or no visit."""
    by_id = {clinic.id: clinic for clinic in clinics}
    found = await store.fetch_next_visit(connection, list(by_id), hash_token(token), now=now)
    return (by_id[found[0]], found[1], found[2]) if found else None


async def text_link(connection: Connection, clinic: Clinic, visit: Visit, patient: Patient, *, now: datetime) -> None:
    """Text a patient the link of a visit, to the number on file; a second wish within minutes is the same one."""
    moment = now.replace(minute=now.minute // _ONCE_IN_MINUTES * _ONCE_IN_MINUTES, second=0, microsecond=0)
    planned = PlannedMessage(
        visit_id=visit.id, patient_id=patient.id, visit_version=visit.version, kind="link", template="new_link",
        channel="sms", lead_minutes=0, language=patient.language, address=patient.phone,
        variables=visit_variables(visit), not_before=now, expires_at=min(now + _LINK_USEFUL_FOR, visit.starts_at),
        dedupe_key=f"link:{visit.id}:{moment.isoformat()}",
    )  # fmt: skip
    await add_messages(connection, clinic.id, [planned])


async def list_other_visits(
    connection: Connection, own: OwnVisit, *, secret_key: str, base_url: str, now: datetime
) -> list[tuple[datetime, str]]:
    """Return when the patient's other visits to come begin, in clinic time, and the private link of each."""
    clinic = own.clinic
    others = await store.list_others(
        connection, clinic.id, own.patient.id, but=own.visit.id, now=now, limit=_MOST_OTHERS
    )
    return [
        (clinic.local(one.starts_at), manage_url(secret_key, base_url, clinic.id, one.id, one.generation))
        for one in others
    ]


async def find_manage_urls(
    connection: Connection, clinic: Clinic, visit_ids: Sequence[UUID], *, secret_key: str, base_url: str
) -> dict[UUID, str]:
    """Return the private link of each visit that has one; ``base_url`` is PUBLIC_BASE_URL."""
    generations = await store.fetch_generations(connection, clinic.id, visit_ids)
    return {
        visit_id: manage_url(secret_key, base_url, clinic.id, visit_id, generation)
        for visit_id, generation in generations.items()
    }


async def link_visits(connection: Connection, clinics: Sequence[Clinic], *, secret_key: str) -> None:
    """Give visits to come a link where they have none, because an earlier release booked them."""
    for clinic in clinics:
        found = await store.list_unlinked(connection, clinic.id, limit=_BATCH)
        links = [(visit_id, link_hash(secret_key, clinic.id, visit_id)) for visit_id in found]
        if links:
            await store.add_links(connection, clinic.id, links)
