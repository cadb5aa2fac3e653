"""Webhooks: who is told what happens at a clinic, and every telling of it until it arrived or was given up."""

from scheduler.migrate import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = """
create table webhooks (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    url text not null,
    events text[] not null check (cardinality(events) > 0),
    description text not null default '',
    -- The secret is made from this number, the id and the service's own key, so none is kept here.
    generation integer not null default 1 check (generation > 0),
    rotated_at timestamptz,
    paused_at timestamptz,
    pause_reason text,
    removed_at timestamptz,
    created_by text not null,
    created_at timestamptz not null default now(),
    primary key (clinic_id, id),
    check ((paused_at is null) = (pause_reason is null))
);

-- The id is the event's: every subscriber is told the same one, at every attempt.
create table webhook_deliveries (
    clinic_id uuid not null,
    webhook_id uuid not null,
    id uuid not null,
    type text not null,
    data jsonb not null,
    state text not null default 'pending' check (state in ('pending', 'sending', 'delivered', 'dead', 'cancelled')),
    attempts smallint not null default 0,
    not_before timestamptz not null default now(),
    lease_token uuid,
    lease_until timestamptz,
    response_status smallint,
    reason text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (clinic_id, webhook_id, id),
    foreign key (clinic_id, webhook_id) references webhooks (clinic_id, id),
    check ((state = 'sending') = (lease_token is not null))
);
create index webhook_deliveries_due on webhook_deliveries (clinic_id, webhook_id, not_before, id)
    where state = 'pending';
create index webhook_deliveries_leased on webhook_deliveries (lease_until) where state = 'sending';
create index webhook_deliveries_by_age on webhook_deliveries (created_at);
"""

DOWN = """
drop table webhook_deliveries, webhooks;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
