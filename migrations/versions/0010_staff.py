"""Staff accounts, their sessions, and how often somebody tried to sign in."""

from scheduler.migrate import run_sql

revision = "0010"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = """
-- A person of the clinic. The row stays when the account is deactivated, so that histories still say who it was.
-- Of the second factor only a salt is kept: its secret is made from the service's own key, the account and the salt,
-- so a copy of the database opens nothing. An account without a salt has no second factor.
create table staff_accounts (
    clinic_id uuid not null references clinics (id),
    id uuid not null,
    username text not null check (username = lower(username)),
    display_name text not null,
    initials text not null,
    role text not null check (role in ('desk', 'therapist', 'admin')),
    therapist_id uuid,
    password_hash text not null,
    must_change_password boolean not null default true,
    totp_salt bytea check (octet_length(totp_salt) = 16),
    -- The last half-minute whose code was used: no code is good twice.
    totp_step bigint not null default 0,
    -- A salt that becomes the account's own once a code made with it was typed.
    totp_next_salt bytea check (octet_length(totp_next_salt) = 16),
    created_at timestamptz not null default now(),
    deactivated_at timestamptz,
    primary key (clinic_id, id),
    foreign key (clinic_id, therapist_id) references therapists (clinic_id, id),
    check (role <> 'therapist' or therapist_id is not null)
);
create unique index staff_accounts_by_username on staff_accounts (clinic_id, username) where deactivated_at is null;

-- Who is signed in. Of the token in the browser's cookie only the SHA-256 is kept. A session whose second factor is
-- still to come is one of a few minutes.
create table staff_sessions (
    clinic_id uuid not null,
    id uuid not null,
    account_id uuid not null,
    token_hash bytea not null check (octet_length(token_hash) = 32),
    created_at timestamptz not null default now(),
    -- Pushed ahead by whatever the person does.
    idle_at timestamptz not null,
    idle_seconds integer not null check (idle_seconds > 0),
    expires_at timestamptz not null,
    ended_at timestamptz,
    needs_second_factor boolean not null,
    hide_names boolean not null default false,
    -- What the person looked for last: a name must not be in an address.
    patient_search text not null default '',
    primary key (clinic_id, id),
    unique (clinic_id, token_hash),
    foreign key (clinic_id, account_id) references staff_accounts (clinic_id, id)
);
create index staff_sessions_by_token on staff_sessions (token_hash);
create index staff_sessions_by_account on staff_sessions (clinic_id, account_id, id);

-- Tries that were not followed by success. A subject is a keyed hash of what was tried, so a name that nobody has is
-- counted like any other.
create table staff_sign_in_tries (
    clinic_id uuid not null references clinics (id),
    subject bytea not null,
    tries integer not null,
    tried_at timestamptz not null default now(),
    next_at timestamptz not null,
    primary key (clinic_id, subject)
);
create index staff_sign_in_tries_by_age on staff_sign_in_tries (tried_at);
"""

DOWN = """
drop table staff_sign_in_tries, staff_sessions, staff_accounts;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
