"""An answer that was committed in the instant in which its key's lock was taken is seen."""

from scheduler.migrate import run_sql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

UP = """
-- One statement that takes the lock and looks sees what was committed before it began, which may be before the lock was
-- free. Here the look is a statement of its own, begun with the lock in hand, and still no round trip of its own.
create function take_idempotency_key(of_clinic uuid, of_caller text, of_key text, lock_number bigint)
    returns table (taken boolean, request_hash bytea, status smallint, headers jsonb, body bytea)
    language plpgsql volatile as $$
begin
    taken := pg_try_advisory_xact_lock(lock_number);
    if taken then
        select kept.request_hash, kept.status, kept.headers, kept.body into request_hash, status, headers, body
        from idempotency_keys as kept
        where kept.clinic_id = of_clinic and kept.caller = of_caller and kept.key = of_key
            and kept.created_at > now() - interval '24 hours';
    end if;
    return next;
end $$;
"""

DOWN = """
drop function take_idempotency_key(uuid, text, text, bigint);
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
