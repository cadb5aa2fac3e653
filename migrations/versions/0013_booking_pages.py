"""What the booking pages say of a visit type, and codes that prove that a phone is the patient's own."""

from scheduler.migrate import run_sql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

UP = """
alter table visit_types
    add column about jsonb not null default '{}',
    add column badge jsonb not null default '{}';

-- A code that was texted to whoever keeps a time. Of the code and the phone only keyed hashes are kept, and the row
-- goes when the code is used, or with the hold.
create table phone_codes (
    clinic_id uuid not null,
    visit_id uuid not null,
    phone_hash bytea not null check (octet_length(phone_hash) = 32),
    code_hash bytea not null check (octet_length(code_hash) = 32),
    sent smallint not null default 1,
    wrong smallint not null default 0,
    sent_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (clinic_id, visit_id),
    foreign key (clinic_id, visit_id) references visits (clinic_id, id) on delete cascade
);
"""

DOWN = """
drop table phone_codes;
alter table visit_types drop column about, drop column badge;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
