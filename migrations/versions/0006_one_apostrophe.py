"""O'Neil is one person, however their keyboard writes the apostrophe; the same for hyphens."""

from scheduler.migrate import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UP = r"""
-- Of several that become one, the patient who has the plain key already keeps it, else the oldest gets it. The others
-- keep the key they had: two files of one person are for people to put together, and nothing of either may be lost.
with plain as (
    select clinic_id, id, phone, name_key, translate(name_key,
        U&'\2018\2019\201B\02BB\02BC\0060\2032\2010\2012\2013\2014\2015\2212', '''''''''''''''------') as plain_key
    from patients
), chosen as (
    select distinct on (clinic_id, phone, plain_key) clinic_id, id, name_key, plain_key from plain
    order by clinic_id, phone, plain_key, name_key <> plain_key, id
)
update patients set name_key = plain_key from chosen
where patients.clinic_id = chosen.clinic_id and patients.id = chosen.id and chosen.name_key <> plain_key;
"""

# The older release finds a plain name by a plain key; how a name was spelled is in the name itself.
DOWN = """
select 1;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
