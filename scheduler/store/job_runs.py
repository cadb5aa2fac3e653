"""When the recurring jobs last ran at each clinic."""

from datetime import datetime
from uuid import UUID

from scheduler.store.connections import Connection

PLANNER = "plan-reminders"


async def note_run(connection: Connection, clinic_id: UUID, job: str, now: datetime) -> None:
    """Note that a job came to its end, in the transaction that holds what it did."""
    await connection.execute(
        """insert into job_runs as known (clinic_id, job, ran_at) values ($1, $2, $3)
        on conflict (clinic_id, job) do update set ran_at = excluded.ran_at where known.ran_at < excluded.ran_at""",
        clinic_id,
        job,
        now,
    )
