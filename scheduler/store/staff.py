"""Staff accounts, and how often somebody tried to sign in."""

from datetime import timedelta
from uuid import UUID

from scheduler.domain.staff import TRIES_FORGOTTEN_AFTER, Account, Role
from scheduler.store.connections import Connection
from scheduler.store.rows import to_struct

_COLUMNS = """id, clinic_id, username, display_name, initials, role, therapist_id, password_hash, must_change_password,
    totp_salt, totp_step, totp_next_salt, deactivated_at is not null as deactivated"""


async def add_account(
    connection: Connection,
    clinic_id: UUID,
    account_id: UUID,
    *,
    username: str,
    display_name: str,
    initials: str,
    role: Role,
    therapist_id: UUID | None,
    password_hash: str,
    must_change_password: bool,
    totp_salt: bytes | None,
) -> None:
    await connection.execute(
        """insert into staff_accounts (clinic_id, id, username, display_name, initials, role, therapist_id,
            password_hash, must_change_password, totp_salt)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        clinic_id,
        account_id,
        username,
        display_name,
        initials,
        role,
        therapist_id,
        password_hash,
        must_change_password,
        totp_salt,
    )


async def list_accounts(connection: Connection, clinic_id: UUID) -> list[Account]:
    """Return the clinic's accounts, the oldest first, those that are deactivated included."""
    rows = await connection.fetch(f"select {_COLUMNS} from staff_accounts where clinic_id = $1 order by id", clinic_id)
    return [to_struct(row, Account) for row in rows]


async def find_account(connection: Connection, clinic_ids: list[UUID], username: str) -> Account | None:
    """Return the working account with this name, at the first of these clinics that has one."""
    row = await connection.fetchrow(
        f"""select {_COLUMNS} from staff_accounts
        where clinic_id = any($1::uuid[]) and username = $2 and deactivated_at is null
        order by array_position($1::uuid[], clinic_id) limit 1""",
        clinic_ids,
        username,
    )
    return to_struct(row, Account) if row else None


async def fetch_account(connection: Connection, clinic_id: UUID, account_id: UUID) -> Account | None:
    row = await connection.fetchrow(
        f"select {_COLUMNS} from staff_accounts where clinic_id = $1 and id = $2", clinic_id, account_id
    )
    return to_struct(row, Account) if row else None


async def set_role(
    connection: Connection, clinic_id: UUID, account_id: UUID, *, role: Role, therapist_id: UUID | None
) -> None:
    await connection.execute(
        "update staff_accounts set role = $3, therapist_id = $4 where clinic_id = $1 and id = $2",
        clinic_id,
        account_id,
        role,
        therapist_id,
    )


async def set_password(
    connection: Connection, clinic_id: UUID, account_id: UUID, password_hash: str, *, must_change: bool
) -> None:
    await connection.execute(
        "update staff_accounts set password_hash = $3, must_change_password = $4 where clinic_id = $1 and id = $2",
        clinic_id,
        account_id,
        password_hash,
        must_change,
    )


async def set_totp_salt(connection: Connection, clinic_id: UUID, account_id: UUID, salt: bytes) -> None:
    """Give an account another second factor; codes of the old one are good for nothing from now on."""
    await connection.execute(
        """update staff_accounts set totp_salt = $3, totp_step = 0, totp_next_salt = null
        where clinic_id = $1 and id = $2""",
        clinic_id,
        account_id,
        salt,
    )


async def offer_totp_salt(connection: Connection, clinic_id: UUID, account_id: UUID, salt: bytes) -> None:
    """Keep the salt of a second factor that the person is about to set up; the one before it goes on."""
    await connection.execute(
        "update staff_accounts set totp_next_salt = $3 where clinic_id = $1 and id = $2", clinic_id, account_id, salt
    )


async def use_totp_step(connection: Connection, clinic_id: UUID, account_id: UUID, step: int) -> bool:
    """Note that a step's code was used; return False where it, or a later one, has been used before."""
    return await connection.fetchval(
        """with used as (
            update staff_accounts set totp_step = $3 where clinic_id = $1 and id = $2 and totp_step < $3 returning 1
        )
        select exists (select 1 from used)""",
        clinic_id,
        account_id,
        step,
    )


async def set_search_key(connection: Connection, clinic_id: UUID, account_id: UUID, *, on: bool) -> None:
    """Let "/" lead somebody to the search, or not."""
    await connection.execute(
        "update staff_accounts set search_key = $3 where clinic_id = $1 and id = $2", clinic_id, account_id, on
    )


async def deactivate_account(connection: Connection, clinic_id: UUID, account_id: UUID) -> bool:
    """Close an account; return False where it is closed already."""
    return await connection.fetchval(
        """with closed as (
            update staff_accounts set deactivated_at = now()
            where clinic_id = $1 and id = $2 and deactivated_at is null returning 1
        )
        select exists (select 1 from closed)""",
        clinic_id,
        account_id,
    )


async def fetch_initials(connection: Connection, clinic_id: UUID, account_ids: list[UUID]) -> dict[UUID, str]:
    """Return the initials of accounts, working or not, by id."""
    rows = await connection.fetch(
        "select id, initials from staff_accounts where clinic_id = $1 and id = any($2::uuid[])", clinic_id, account_ids
    )
    return {row["id"]: row["initials"] for row in rows}


async def take_try(
    connection: Connection,
    clinic_id: UUID,
    subject: bytes,
    *,
    free: int,
    first_pause: timedelta,
    longest_pause: timedelta,
) -> float:
    """Count a try before it is known how it ends, and return 0; or the seconds until there may be another.

    After ``free`` tries each is followed by a pause, the first one and then twice as long as the one before. What is
    counted first cannot be got around by trying many times at once.
    """
    return await connection.fetchval(
        """with counted as (
            insert into staff_sign_in_tries as known (clinic_id, subject, tries, next_at)
            values ($1, $2, 1, case when $3 > 1 then '-infinity' else now() + $4::interval end)
            on conflict (clinic_id, subject) do update set
                tries = case when known.tried_at < now() - $6::interval then 1 else known.tries + 1 end,
                tried_at = now(),
                next_at = case
                    -- Not now: a try at the same moment may have begun before this one and come after it.
                    when known.tried_at < now() - $6 or known.tries + 1 < $3 then '-infinity'
                    -- Twelve doublings are more than the longest pause, and the number stays one.
                    else now() + least($5::interval, $4 * 2 ^ least(12, known.tries + 1 - $3)) end
                where known.next_at <= now()
            returning 1
        )
        select case when exists (select 1 from counted) then 0 else coalesce(
            (select greatest(0.001, extract(epoch from next_at - now())) from staff_sign_in_tries
            where clinic_id = $1 and subject = $2), 1) end::float8""",
        clinic_id,
        subject,
        free,
        first_pause,
        longest_pause,
        TRIES_FORGOTTEN_AFTER,
    )


async def forget_tries(connection: Connection, clinic_id: UUID, subjects: list[bytes]) -> None:
    """Let somebody who succeeded begin again."""
    await connection.execute(
        "delete from staff_sign_in_tries where clinic_id = $1 and subject = any($2::bytea[])", clinic_id, subjects
    )


async def forget_old_tries(connection: Connection) -> None:
    """Drop what says nothing any more."""
    await connection.execute(
        "delete from staff_sign_in_tries where tried_at < now() - $1::interval", TRIES_FORGOTTEN_AFTER
    )
