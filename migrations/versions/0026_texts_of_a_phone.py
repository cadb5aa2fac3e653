"""What a phone wrote last is asked for whoever's phone it is, and before each answer, code and link that goes there."""

from scheduler.migrate import run_sql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

UP = """
drop index inbound_messages_by_sender;
create index inbound_messages_by_sender on inbound_messages (clinic_id, sender, received_at);
"""

DOWN = """
drop index inbound_messages_by_sender;
create index inbound_messages_by_sender on inbound_messages (clinic_id, sender) where patient_id is null;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
