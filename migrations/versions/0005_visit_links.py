"""Private links, by which patients look after their own visits."""

from scheduler.migrate import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UP = """
-- Of the token itself nothing is kept: it is made again from the service's own key, the visit and the generation.
create table visit_links (
    clinic_id uuid not null,
    token_hash bytea not null check (octet_length(token_hash) = 32),
    visit_id uuid not null,
    generation smallint not null default 1 check (generation > 0),
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (clinic_id, token_hash),
    unique (clinic_id, visit_id, generation),
    foreign key (clinic_id, visit_id) references visits (clinic_id, id) on delete cascade
);
"""

DOWN = """
drop table visit_links;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
