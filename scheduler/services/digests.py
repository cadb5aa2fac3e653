"""Mail to the people of the clinic: the therapists' morning digest, and the alert of what the desk should see to.

Both go through the outbox like any message, so they leave once, whatever restarts. What they say is put into words as
they are planned, seconds before they leave; a visit that moves in between is in the calendar, which the digest names.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import product

import structlog

from scheduler.channels.staff_words import alert_words, digest_words
from scheduler.domain.clinics import Clinic
from scheduler.domain.digests import NOON, day_bounds, digest_key, due_day, make_digest
from scheduler.domain.messages import PlannedMessage
from scheduler.settings import Settings
from scheduler.store.connections import Connection, Pool
from scheduler.store.digests import fetch_day_visits, fetch_recipients, take_unalerted
from scheduler.store.locks import try_lock_alerts
from scheduler.store.messages import add_messages
from scheduler.store.units import unit_of_work

# An alert that could not leave for so long tells of nothing that the desk has not met by other ways.
ALERT_USEFUL_FOR = timedelta(hours=24)

_log = structlog.get_logger(__name__)


async def mail_staff(pool: Pool, clinics: Iterable[Clinic], settings: Settings, *, now: datetime | None = None) -> None:
    """Plan what mail to staff is due at each clinic, each kind in a transaction of its own."""
    plans = {"digest": plan_digests, "desk_alert": partial(alert_desk, base_url=settings.public_base_url)}
    for clinic, (kind, plan) in product(clinics, plans.items()):
        try:
            async with unit_of_work(pool) as connection:
                await plan(connection, clinic, now=now)
        except Exception as problem:  # noqa: BLE001 - one must not stop the others; the next tick tries again
            _log.warning("staff-mail.failed", clinic=clinic.code, kind=kind, problem=type(problem).__name__)


async def plan_digests(connection: Connection, clinic: Clinic, *, now: datetime | None = None) -> int:
    """Plan the digest of the day for every therapist who has an address and visits, and none yet; return how many.

    Before the clinic's hour for digests and after noon there is nothing to plan. Whoever gets the first visit of the
    day during the morning gets the digest then.
    """
    moment = now or datetime.now(UTC)
    day = due_day(clinic, moment)
    if day is None:
        return 0
    starts_from, starts_before = day_bounds(clinic, day)
    recipients = await fetch_recipients(
        connection,
        clinic.id,
        {code: digest_key(code, day) for code in clinic.therapists},
        starts_from=starts_from,
        starts_before=starts_before,
    )
    if not recipients:
        return 0
    visits = await fetch_day_visits(
        connection,
        clinic.id,
        [recipient.id for recipient in recipients],
        starts_from=starts_from,
        starts_before=starts_before,
    )
    language = clinic.settings.languages[0]
    planned: list[PlannedMessage] = []
    for recipient in recipients:
        digest = make_digest(clinic, [visit for visit in visits if visit.therapist_id == recipient.id])
        planned.append(
            _to_staff(
                clinic,
                kind="digest",
                address=recipient.email,
                variables=digest_words(digest, language, clinic.local(moment)),
                dedupe_key=recipient.key,
                now=moment,
                # What the morning was to look like is of no use in the afternoon.
                expires_at=datetime.combine(day, time(NOON // 60), clinic.zone).astimezone(UTC),
            )
        )
    await add_messages(connection, clinic.id, planned)
    return len(planned)


async def alert_desk(connection: Connection, clinic: Clinic, *, base_url: str, now: datetime | None = None) -> int:
    """Plan one email about all open tasks that the desk has not heard of; return how many tasks it is about.

    A clinic gets at most one in ten minutes, and none without an address for its desk. That the desk was told is
    noted in the caller's transaction, which writes the email as well.
    """
    if not clinic.settings.desk_email or not await try_lock_alerts(connection, clinic.id):
        return 0
    tasks = await take_unalerted(connection, clinic.id, now=now)
    if not tasks:
        return 0
    told = [(task.kind, clinic.local(task.starts_at) if task.starts_at else None) for task in tasks]
    moment = now or datetime.now(UTC)
    alert = _to_staff(
        clinic,
        kind="desk_alert",
        address=clinic.settings.desk_email,
        variables=alert_words(told, clinic.settings.languages[0], base_url),
        # Each task is told of once, so its id names the alert.
        dedupe_key=f"desk_alert:{tasks[0].id}",
        now=moment,
        expires_at=moment + ALERT_USEFUL_FOR,
    )
    await add_messages(connection, clinic.id, [alert])
    return len(tasks)


def _to_staff(
    clinic: Clinic,
    *,
    kind: str,
    address: str,
    variables: dict[str, str],
    dedupe_key: str,
    now: datetime,
    expires_at: datetime,
) -> PlannedMessage:
    """Return an email to one of the clinic's people, about no visit and no patient; its kind is its text's name."""
    return PlannedMessage(
        visit_id=None, patient_id=None, visit_version=0, kind=kind, template=kind, channel="email", lead_minutes=0,
        language=clinic.settings.languages[0], address=address, variables=variables, not_before=now,
        expires_at=expires_at, dedupe_key=dedupe_key,
    )  # fmt: skip
