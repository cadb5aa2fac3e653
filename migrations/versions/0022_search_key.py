"""A key of one letter must have a switch (WCAG 2.2, 2.1.4): whether "/" leads to the search is each person's choice."""

from scheduler.migrate import run_sql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

UP = """
alter table staff_accounts add column search_key boolean not null default true;
"""

DOWN = """
alter table staff_accounts drop column search_key;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
