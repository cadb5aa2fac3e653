"""What the whole delivery protocol needs: mail to staff, replies to texts, callbacks, pauses, tasks for the desk."""

from scheduler.migrate import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = """
-- Answers to texts and mail to staff go through the same outbox; they speak of no visit, or of nobody on file.
alter table messages
    alter column visit_id drop not null,
    alter column patient_id drop not null,
    -- The text that could not be delivered and that this email stands in for.
    add column fallback_of uuid,
    -- When the provider took it: what the limits a day and a week count.
    add column sent_at timestamptz;
create index messages_sent_to on messages (clinic_id, address, sent_at) where sent_at is not null;
-- What failed for good and nobody has seen to: listed for the desk, counted for operators.
create index messages_needing_attention on messages (clinic_id, id)
    where state in ('failed', 'dead', 'undelivered') and handled_at is null;

-- Every status that a provider reported, once each, as it came; provider_messages has the highest.
create table provider_events (
    clinic_id uuid not null references clinics (id),
    channel text not null,
    provider_id text not null,
    status text not null,
    message_id uuid,
    error_code text,
    received_at timestamptz not null default now(),
    primary key (clinic_id, channel, provider_id, status)
);

-- A channel that is misconfigured or in doubt rests; its messages wait and nothing of them is used up.
create table channel_pauses (
    clinic_id uuid not null references clinics (id),
    channel text not null check (channel in ('sms', 'email')),
    paused_until timestamptz not null,
    reason text not null,
    paused_at timestamptz not null default now(),
    primary key (clinic_id, channel)
);

-- A number or mailbox that cannot be reached at all; messages to it go another way. A new consent removes the row.
create table unreachable_addresses (
    clinic_id uuid not null references clinics (id),
    channel text not null check (channel in ('sms', 'email')),
    address text not null,
    reason text not null,
    noted_at timestamptz not null default now(),
    primary key (clinic_id, channel, address)
);

-- What a person at the desk should see to. One open task of a kind for one subject; a repeat changes nothing.
create table desk_tasks (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    kind text not null,
    subject_id uuid not null,
    visit_id uuid,
    patient_id uuid,
    message_id uuid,
    inbound_id uuid,
    reason text not null,
    created_at timestamptz not null default now(),
    alerted_at timestamptz,
    handled_at timestamptz,
    handled_by text,
    primary key (clinic_id, id),
    foreign key (clinic_id, visit_id) references visits (clinic_id, id),
    foreign key (clinic_id, patient_id) references patients (clinic_id, id)
);
create unique index desk_tasks_open_once on desk_tasks (clinic_id, kind, subject_id) where handled_at is null;
create index desk_tasks_by_time on desk_tasks (clinic_id, created_at, id);

-- Where therapists get their morning digest; without an address they get none.
alter table therapists add column email text;
"""

DOWN = """
alter table therapists drop column email;
drop table desk_tasks, unreachable_addresses, channel_pauses, provider_events;
drop index messages_needing_attention, messages_sent_to;
delete from messages where visit_id is null or patient_id is null;
alter table messages
    drop column fallback_of,
    drop column sent_at,
    alter column patient_id set not null,
    alter column visit_id set not null;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
