"""What the page of health reads: when the reminder job last ran, and what came to an end or was reported lately."""

from scheduler.migrate import run_sql

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

UP = """
-- When each recurring job last came to its end at a clinic. A job that fails each time leaves no new row, whatever its
-- worker's heartbeat says.
create table job_runs (
    clinic_id uuid not null references clinics (id),
    job text not null,
    ran_at timestamptz not null,
    primary key (clinic_id, job)
);
create index messages_by_end on messages (clinic_id, finished_at) where finished_at is not null;
create index provider_events_by_time on provider_events (clinic_id, channel, received_at);
create index inbound_messages_open on inbound_messages (clinic_id, received_at)
    where needs_attention and handled_at is null;
"""

DOWN = """
drop index inbound_messages_open, provider_events_by_time, messages_by_end;
drop table job_runs;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
