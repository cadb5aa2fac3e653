"""The net under the reminders: what the ladder promises and nobody planned is planned, a day ahead of its moment.

A booking plans its whole ladder in its own transaction, so that the desk sees at once what will go. This adds what is
missing all the same: after the ladder changed, after a consent, after a row was lost. It keeps nothing of its own; a
planner that was down catches up in its first minute, and what was planned twice is there once.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import PlannedMessage, plan_reminders, reminder_is_off, reminder_key
from scheduler.services.desk_tasks import open_task
from scheduler.store.connections import Connection, Pool
from scheduler.store.job_runs import PLANNER, note_run
from scheduler.store.locks import try_lock_planner
from scheduler.store.messages import add_messages
from scheduler.store.planner import VisitAhead, fetch_visits_ahead, list_forgotten, void_reminders
from scheduler.store.units import unit_of_work

# How long before its moment a missing reminder is planned: a day, in which somebody mends a planner, and the hours for
# which a text may have to wait where the patient is.
AHEAD = timedelta(hours=36)

# After an outage every reminder of a day may be missing, and not all of them are to be kept in memory.
_WRITTEN_AT_ONCE = 200

# How often that is looked at; the page of health calls it late after twice as long.
PLAN_SECONDS = 60

_FORGOTTEN = (
    "No reminder of this visit was planned or sent. Please call the patient, and tell whoever runs the service."
)
_NO_RUNG = "The visit was moved, or the clinic sends this reminder no more."

_log = structlog.get_logger(__name__)


async def plan_everywhere(pool: Pool, clinics: Iterable[Clinic], *, now: datetime | None = None) -> None:
    """Plan what is missing at each clinic, each in a short transaction of its own.

    What is wrong at one of them is raised once the others have had their turn.
    """
    problems: list[asyncpg.PostgresError] = []
    for clinic in clinics:
        try:
            async with unit_of_work(pool) as connection:
                await plan_ahead(connection, clinic, now=now or datetime.now(UTC))
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


async def plan_ahead(connection: Connection, clinic: Clinic, *, now: datetime) -> int:
    """Add the reminders that are missing and due within 36 hours, and void those that the ladder no longer has.

    A visit of which nobody will be reminded all the same is a task for the desk, once. Returns how many were added.
    While another planner is at it, there is nothing to do.
    """
    ladder = clinic.settings.reminders
    if not await try_lock_planner(connection, clinic.id):
        return 0
    until = now + timedelta(minutes=max((rung.lead_minutes for rung in ladder), default=0)) + AHEAD
    planned: list[PlannedMessage] = []
    off: list[tuple[UUID, str]] = []
    added = voided = 0

    async def write() -> None:
        nonlocal added, voided
        if off:
            await void_reminders(connection, clinic.id, off, now)
        await add_messages(connection, clinic.id, planned)
        added, voided = added + len(planned), voided + len(off)
        planned.clear()
        off.clear()

    async for ahead in fetch_visits_ahead(connection, clinic.id, after=now, until=until):
        unwanted = _off(clinic, ahead)
        off += unwanted.items()
        known = {reminder.dedupe_key for reminder in ahead.reminders if reminder.id not in unwanted}
        missing = plan_reminders(clinic, ahead.visit, ahead.patient, now, known=known)
        planned += [message for message in missing if message.not_before <= now + AHEAD]
        if len(planned) + len(off) >= _WRITTEN_AT_ONCE:
            await write()
    await write()
    await note_run(connection, clinic.id, PLANNER, now)
    for visit_id, patient_id in await list_forgotten(connection, clinic.id, now):
        _log.error("visit.forgotten", visit_id=str(visit_id))
        await open_task(
            connection, clinic.id, kind="not-reminded", subject_id=visit_id, visit_id=visit_id, patient_id=patient_id,
            reason=_FORGOTTEN, now=now,
        )  # fmt: skip
    if added or voided:
        _log.info("reminders.planned", clinic=clinic.code, added=added, voided=voided)
    return added


def _off(clinic: Clinic, ahead: VisitAhead) -> dict[UUID, str]:
    """Return the reminders of a visit that should not go any more, and why."""
    rungs = {reminder_key(ahead.visit, rung): rung for rung in clinic.settings.reminders}
    reasons: dict[UUID, str] = {}
    for reminder in ahead.reminders:
        rung = rungs.get(reminder.dedupe_key)
        reason = reminder_is_off(rung, ahead.visit, ahead.patient) if rung else _NO_RUNG
        if reminder.own and reason:
            reasons[reminder.id] = reason
    return reasons
