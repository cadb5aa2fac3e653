"""What keeps a resource busy is found by the resource and the time, whatever else the clinic has on."""

from scheduler.migrate import run_sql

revision = "0020"
down_revision = "0014"
branch_labels = None
depends_on = None

UP = """
-- Nothing that began longer ago can still be under way, so a look back of a day sees all of it.
alter table occupancy add constraint occupancy_within_a_day
    check (upper(during) - lower(during) <= interval '24 hours');
create index occupancy_by_time on occupancy (clinic_id, resource_id, lower(during));
drop index occupancy_overbooked;
"""

DOWN = """
create index occupancy_overbooked on occupancy (clinic_id, resource_id) where overbooked;
drop index occupancy_by_time;
alter table occupancy drop constraint occupancy_within_a_day;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
