"""${message}."""

from scheduler.migrate import run_sql

revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None

UP = """
"""

DOWN = """
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
