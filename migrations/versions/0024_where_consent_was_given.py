"""Where a patient said on a page what may be sent: the proof that it was said there (TCPA)."""

from scheduler.migrate import run_sql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

UP = """
alter table consents
    -- The internet address and the browser's name for itself; null where it was said elsewhere than on a page.
    add column client_address text,
    add column user_agent text check (length(user_agent) <= 200);
"""

DOWN = """
alter table consents drop column client_address, drop column user_agent;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
