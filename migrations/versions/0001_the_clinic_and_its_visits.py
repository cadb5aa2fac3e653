"""The clinic, its calendar, visits, messages, and the traces they leave.

Every table of a clinic carries ``clinic_id``, and every primary key, unique, exclusion and foreign key starts
with it, so that the schema can be distributed by clinic without a change.
"""

from scheduler.migrate import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UP = """
create extension if not exists btree_gist;

create table clinics (
    id uuid primary key,
    code text not null unique,
    position smallint not null,
    timezone text not null,
    -- The validated clinic file, less what has tables of its own.
    settings jsonb not null,
    applied_at timestamptz not null default now()
);

create table therapists (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    code text not null,
    display_name text not null,
    credential text not null check (credential in ('PT', 'PTA')),
    languages text[] not null,
    position smallint not null,
    active boolean not null default true,
    -- Whether the clinic file or the front desk last set the weekly hours; the file never overrules the desk.
    hours_set_by text not null default 'file' check (hours_set_by in ('file', 'desk')),
    primary key (clinic_id, id),
    unique (clinic_id, code)
);

create table rooms (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    code text not null,
    display_name text not null,
    kind text not null,
    position smallint not null,
    active boolean not null default true,
    primary key (clinic_id, id),
    unique (clinic_id, code)
);

create table equipment (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    code text not null,
    display_name text not null,
    kind text not null,
    position smallint not null,
    active boolean not null default true,
    primary key (clinic_id, id),
    unique (clinic_id, code)
);

create table visit_types (
    clinic_id uuid not null references clinics (id),
    code text not null,
    position smallint not null,
    active boolean not null default true,
    names jsonb not null,
    bring jsonb not null,
    duration_minutes smallint not null check (duration_minutes between 5 and 480),
    buffer_before_minutes smallint not null check (buffer_before_minutes between 0 and 120),
    buffer_after_minutes smallint not null check (buffer_after_minutes between 0 and 120),
    credential text check (credential in ('PT', 'PTA')),
    room_kind text,
    equipment_kinds text[] not null,
    online boolean not null,
    minimum_notice_minutes integer not null check (minimum_notice_minutes >= 0),
    horizon_days smallint not null check (horizon_days between 1 and 730),
    change_cutoff_minutes integer not null check (change_cutoff_minutes >= 0),
    primary key (clinic_id, code)
);

create table therapist_visit_types (
    clinic_id uuid not null,
    therapist_id uuid not null,
    visit_type text not null,
    primary key (clinic_id, therapist_id, visit_type),
    foreign key (clinic_id, therapist_id) references therapists (clinic_id, id),
    foreign key (clinic_id, visit_type) references visit_types (clinic_id, code)
);

-- Minutes are wall-clock minutes of the clinic's day: 1440 is 24:00, and more than that runs into the next day.
create table working_windows (
    clinic_id uuid not null,
    id uuid not null,
    therapist_id uuid not null,
    weekday smallint not null check (weekday between 1 and 7),
    starts_minute smallint not null check (starts_minute between 0 and 1439),
    ends_minute smallint not null check (ends_minute <= 2880),
    valid_from date not null default '-infinity',
    valid_until date not null default 'infinity',
    primary key (clinic_id, id),
    foreign key (clinic_id, therapist_id) references therapists (clinic_id, id),
    check (starts_minute < ends_minute),
    check (ends_minute - starts_minute <= 1440),
    check (valid_from <= valid_until)
);
create index working_windows_by_therapist on working_windows (clinic_id, therapist_id);

-- An override replaces a therapist's windows on one date; no windows means that the therapist is off.
create table overrides (
    clinic_id uuid not null,
    therapist_id uuid not null,
    date date not null,
    windows int4multirange not null,
    reason text not null default '',
    set_by text not null check (set_by in ('file', 'desk')),
    -- A removed row stays, so that the clinic file does not bring back what the desk took out.
    removed boolean not null default false,
    primary key (clinic_id, therapist_id, date),
    foreign key (clinic_id, therapist_id) references therapists (clinic_id, id),
    check (windows <@ int4multirange(int4range(0, 2880)))
);

-- A closure limits the whole clinic on one date to its windows; no windows means that nobody works.
create table closures (
    clinic_id uuid not null references clinics (id),
    date date not null,
    windows int4multirange not null,
    reason text not null default '',
    set_by text not null check (set_by in ('file', 'desk')),
    removed boolean not null default false,
    primary key (clinic_id, date),
    check (windows <@ int4multirange(int4range(0, 1440)))
);

create table time_off (
    clinic_id uuid not null,
    id uuid not null,
    therapist_id uuid not null,
    during tstzrange not null check (not isempty(during) and lower_inc(during) and not upper_inc(during)
                                     and isfinite(lower(during)) and isfinite(upper(during))),
    reason text not null default '',
    created_at timestamptz not null default now(),
    primary key (clinic_id, id),
    foreign key (clinic_id, therapist_id) references therapists (clinic_id, id)
);
create index time_off_by_therapist on time_off using gist (clinic_id, therapist_id, during);

create table patients (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    given_name text not null,
    family_name text not null,
    -- Family and given name as compared: case folded, accents and spacing normalised.
    name_key text not null,
    phone text not null check (phone ~ '^\\+[1-9][0-9]{6,14}$'),
    email text,
    birth_date date,
    language text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (clinic_id, id),
    unique (clinic_id, phone, name_key)
);

-- Append-only: what a patient agreed to or withdrew, in which words, when and how.
create table consents (
    clinic_id uuid not null,
    id uuid not null,
    patient_id uuid not null,
    channel text not null check (channel in ('sms', 'email')),
    scope text not null,
    granted boolean not null,
    address text not null,
    language text not null,
    wording_version text not null,
    method text not null,
    actor text not null,
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (clinic_id, id),
    foreign key (clinic_id, patient_id) references patients (clinic_id, id)
);
create index consents_latest on consents (clinic_id, patient_id, channel, recorded_at desc, id desc);

create table visits (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    status text not null check (status in ('held', 'booked', 'confirmed', 'arrived', 'completed', 'no_show',
                                           'cancelled', 'expired')),
    version integer not null default 1 check (version > 0),
    visit_type text not null,
    therapist_id uuid not null,
    room_id uuid,
    equipment_ids uuid[] not null default '{}',
    patient_id uuid,
    starts_at timestamptz not null check (isfinite(starts_at)),
    ends_at timestamptz not null check (isfinite(ends_at)),
    hold_token_hash bytea,
    hold_extensions smallint not null default 0 check (hold_extensions between 0 and 10),
    overbook_reason text,
    cancel_reason text,
    created_by text not null,
    created_at timestamptz not null default now(),
    booked_at timestamptz,
    -- What undo returns to, and when the staff transition that it would reverse was made.
    previous_status text,
    status_changed_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (clinic_id, id),
    foreign key (clinic_id, visit_type) references visit_types (clinic_id, code),
    foreign key (clinic_id, therapist_id) references therapists (clinic_id, id),
    foreign key (clinic_id, room_id) references rooms (clinic_id, id),
    foreign key (clinic_id, patient_id) references patients (clinic_id, id),
    check (starts_at < ends_at),
    check ((status in ('held', 'expired')) = (patient_id is null))
);
create index visits_by_day on visits (clinic_id, starts_at, id);
create index visits_by_patient on visits (clinic_id, patient_id, starts_at) where patient_id is not null;
create index visits_held on visits (clinic_id, created_at) where status = 'held';

-- One row per visit and resource (therapist, room, device, patient) that the visit keeps busy. ``during`` has the
-- buffers in it, but for the patient it is the visit's own time. The exclusion constraint is what makes a double
-- booking impossible whichever path writes; an overbook by staff is a flag with a reason on the visit.
create table occupancy (
    clinic_id uuid not null,
    resource_id uuid not null,
    visit_id uuid not null,
    kind text not null check (kind in ('hold', 'visit')),
    expires_at timestamptz,
    overbooked boolean not null default false,
    during tstzrange not null check (not isempty(during) and lower_inc(during) and not upper_inc(during)
                                     and isfinite(lower(during)) and isfinite(upper(during))),
    check ((kind = 'hold') = (expires_at is not null)),
    primary key (clinic_id, resource_id, visit_id),
    foreign key (clinic_id, visit_id) references visits (clinic_id, id) on delete cascade,
    constraint occupancy_without_overlap
        exclude using gist (clinic_id with =, resource_id with =, during with &&) where (not overbooked)
);
create index occupancy_by_visit on occupancy (clinic_id, visit_id);
create index occupancy_overbooked on occupancy (clinic_id, resource_id) where overbooked;
create index occupancy_expiring on occupancy (clinic_id, expires_at) where kind = 'hold';

-- The outbox: a message we mean to send. Its text is rendered when it is claimed, never before.
create table messages (
    clinic_id uuid not null,
    id uuid not null,
    visit_id uuid not null,
    patient_id uuid not null,
    visit_version integer not null,
    kind text not null,
    template text not null,
    channel text not null check (channel in ('sms', 'email')),
    lead_minutes integer not null default 0 check (lead_minutes >= 0),
    language text not null,
    address text not null,
    variables jsonb not null,
    dedupe_key text not null,
    not_before timestamptz not null,
    expires_at timestamptz not null,
    state text not null default 'pending'
        check (state in ('pending', 'sending', 'sent', 'delivered', 'undelivered', 'failed', 'unknown',
                         'cancelled', 'expired', 'suppressed', 'dead')),
    attempts smallint not null default 0,
    lease_token uuid,
    lease_until timestamptz,
    next_check_at timestamptz,
    provider_id text,
    error_code text,
    reason text,
    rendered jsonb,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (clinic_id, id),
    foreign key (clinic_id, visit_id) references visits (clinic_id, id),
    foreign key (clinic_id, patient_id) references patients (clinic_id, id),
    check ((state = 'sending') = (lease_token is not null)),
    check ((state = 'unknown') = (next_check_at is not null))
);
-- A voided message does not stand in the way of the same message planned anew.
create unique index messages_planned_once on messages (clinic_id, dedupe_key) where state <> 'cancelled';
create index messages_due on messages (not_before, id) where state = 'pending';
create index messages_in_flight on messages (clinic_id, address) where state in ('pending', 'sending', 'unknown');
create index messages_leased on messages (lease_until) where state = 'sending';
create index messages_in_doubt on messages (next_check_at) where state = 'unknown';
create index messages_by_visit on messages (clinic_id, visit_id);

create table message_attempts (
    clinic_id uuid not null,
    message_id uuid not null,
    number smallint not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    outcome text,
    provider_id text,
    http_status smallint,
    error_code text,
    detail text,
    primary key (clinic_id, message_id, number),
    foreign key (clinic_id, message_id) references messages (clinic_id, id) on delete cascade
);

-- Which message a provider's id belongs to. Two ids of one message are a duplicate, and are counted.
create table provider_messages (
    clinic_id uuid not null,
    channel text not null,
    provider_id text not null,
    message_id uuid not null,
    status text,
    rank smallint not null default 0,
    error_code text,
    seen_at timestamptz not null default now(),
    primary key (clinic_id, channel, provider_id),
    foreign key (clinic_id, message_id) references messages (clinic_id, id) on delete cascade
);
create index provider_messages_by_message on provider_messages (clinic_id, message_id);

create table inbound_messages (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    provider_id text not null,
    sender text not null,
    recipient text not null,
    body text not null,
    received_at timestamptz not null default now(),
    patient_id uuid,
    meaning text,
    needs_attention boolean not null default false,
    handled_at timestamptz,
    handled_by text,
    primary key (clinic_id, id),
    unique (clinic_id, provider_id),
    foreign key (clinic_id, patient_id) references patients (clinic_id, id)
);

create table idempotency_keys (
    clinic_id uuid not null references clinics (id),
    caller text not null,
    key text not null,
    request_hash bytea not null,
    status smallint not null,
    headers jsonb not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    primary key (clinic_id, caller, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

create table api_keys (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    name text not null,
    key_hash bytea not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz,
    primary key (clinic_id, id),
    unique (clinic_id, key_hash)
);
create index api_keys_by_hash on api_keys (key_hash);

create table audit_events (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    at timestamptz not null default clock_timestamp(),
    actor text not null,
    action text not null,
    visit_id uuid,
    patient_id uuid,
    request_id text,
    details jsonb not null default '{}',
    primary key (clinic_id, id)
);
create index audit_events_by_visit on audit_events (clinic_id, visit_id, id) where visit_id is not null;
create index audit_events_by_patient on audit_events (clinic_id, patient_id, id) where patient_id is not null;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger audit_events_append_only before update or delete on audit_events
    for each row execute function refuse_change();
create trigger consents_append_only before update or delete on consents
    for each row execute function refuse_change();

-- Which workers live. Not of one clinic: a worker serves them all.
create table worker_heartbeats (
    worker_id uuid primary key,
    started_at timestamptz not null default now(),
    beat_at timestamptz not null default now()
);
"""

DOWN = """
drop table worker_heartbeats, audit_events, api_keys, idempotency_keys, inbound_messages, provider_messages,
    message_attempts, messages, occupancy, visits, consents, patients, time_off, closures, overrides,
    working_windows, therapist_visit_types, visit_types, equipment, rooms, therapists, clinics;
drop function refuse_change();
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
