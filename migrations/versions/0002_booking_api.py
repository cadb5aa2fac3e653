"""What the whole booking API needs: finding patients, limits for the public, keys that run out, messages seen to."""

from scheduler.migrate import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UP = r"""
-- Names are found by how they begin, phones by how they end.
create index patients_by_name on patients (clinic_id, name_key text_pattern_ops, id);
create index patients_by_given_name
    on patients (clinic_id, (split_part(name_key, E'\x1f', 2)) text_pattern_ops, id);
create index patients_by_phone on patients (clinic_id, (reverse(phone)) text_pattern_ops, id);

-- Who looked at a list that a patient was in; a look at one patient alone has the patient's column.
create index audit_events_by_list on audit_events using gin ((details -> 'patients') jsonb_path_ops)
    where details ? 'patients';

-- A key that was rotated works until then, so that its users can change over.
alter table api_keys add column expires_at timestamptz;

-- How much of each limit a subject (a client's address or a phone, as a keyed hash) has used up: the moment at which
-- all of it is given back. A row in the past says nothing and may go.
create table rate_limits (
    clinic_id uuid not null references clinics (id),
    name text not null,
    subject bytea not null,
    full_at timestamptz not null,
    primary key (clinic_id, name, subject)
);
create index rate_limits_by_age on rate_limits (full_at);

-- Which client (a keyed hash of the address) keeps a hold, so that nobody keeps a day's worth of them.
alter table visits add column hold_client bytea;
create index visits_held_by_client on visits (clinic_id, hold_client) where status = 'held';

alter table time_off add column created_by text not null default 'system';

-- A message that failed is seen to by a person, or sent again as a new one that names the old.
alter table messages
    add column handled_at timestamptz,
    add column handled_by text,
    add column resend_of uuid;
create index inbound_messages_by_time on inbound_messages (clinic_id, received_at, id);
"""

DOWN = """
drop index inbound_messages_by_time;
alter table messages drop column handled_at, drop column handled_by, drop column resend_of;
alter table time_off drop column created_by;
drop index visits_held_by_client;
alter table visits drop column hold_client;
drop table rate_limits;
alter table api_keys drop column expires_at;
drop index audit_events_by_list, patients_by_phone, patients_by_given_name, patients_by_name;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
