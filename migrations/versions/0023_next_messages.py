"""What is to leave next is found in order: of twenty thousand that come due at once a claim looks at ten."""

from scheduler.migrate import run_sql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

UP = """
create index messages_next on messages (clinic_id, channel, not_before, id) where state = 'pending';
-- Urgent ones go first (scheduler/domain/sending).
create index messages_urgent on messages (clinic_id, channel, not_before, id)
    where state = 'pending' and kind in ('cancelled_by_clinic', 'closure', 'otp');
"""

DOWN = """
drop index messages_urgent;
drop index messages_next;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
