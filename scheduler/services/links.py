"""Private links: what one opens, and what the links of visits are."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from scheduler.domain.clinics import Clinic
from scheduler.domain.links import hash_token, link_hash, manage_url, opens_until
from scheduler.domain.own_visits import BY_LINK, look_at, texting
from scheduler.errors import LinkExpired
from scheduler.services.own_visits import OwnVisit
from scheduler.store import links as store
from scheduler.store.connections import Connection
from scheduler.store.hours import list_closures
from scheduler.store.patients import texts_were_stopped, wants_email_reminders

# How many visits get their link at once.
_BATCH = 500


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
