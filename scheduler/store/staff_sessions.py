"""Sessions of staff: a row for everybody who is signed in, found by the SHA-256 of the token in their cookie."""

from datetime import timedelta
from uuid import UUID

from scheduler.domain.staff import Session
from scheduler.store.connections import Connection
from scheduler.store.inbox import WAITING
from scheduler.store.rows import to_struct

# Neither ended, nor over, nor left alone for too long, nor of somebody who has left; by the database's clock.
_LIVES = """ended_at is null and expires_at > now() and idle_at > now() and deactivated_at is null"""


async def add_session(
    connection: Connection,
    clinic_id: UUID,
    session_id: UUID,
    account_id: UUID,
    *,
    token_hash: bytes,
    lasts: timedelta,
    idle: timedelta,
    needs_second_factor: bool,
) -> None:
    """Open a session. Whether names are hidden is as the person had it last."""
    await connection.execute(
        """insert into staff_sessions (clinic_id, id, account_id, token_hash, expires_at, idle_at, idle_seconds,
            needs_second_factor, hide_names)
        values ($1, $2, $3, $4, now() + $5::interval, now() + $6::interval, extract(epoch from $6), $7, coalesce(
            (select hide_names from staff_sessions where clinic_id = $1 and account_id = $3 order by id desc limit 1),
            false))""",
        clinic_id,
        session_id,
        account_id,
        token_hash,
        lasts,
        idle,
        needs_second_factor,
    )


async def fetch_session(connection: Connection, token_hash: bytes, *, active: bool) -> Session | None:
    """Return the session with this token if it lives. ``active``: a person did something, so it begins to idle anew.

    That is written down every few seconds at most, so that a busy desk does not write with every look.
    """
    row = await connection.fetchrow(
        f"""with live as (
            select session.clinic_id, session.id, account_id, needs_second_factor, hide_names, patient_search,
                username, display_name, initials, role, therapist_id, must_change_password, search_key,
                totp_salt is not null as has_second_factor
            from staff_sessions as session join staff_accounts as account
                on account.clinic_id = session.clinic_id and account.id = account_id
            where token_hash = $1 and {_LIVES}
        ), touched as (
            update staff_sessions as session set idle_at = now() + idle_seconds * interval '1 second' from live
            where $2 and session.clinic_id = live.clinic_id and session.id = live.id
                and idle_at < now() + (idle_seconds - 5) * interval '1 second'
        )
        select live.*, {WAITING} as waiting from live""",
        token_hash,
        active,
    )
    return to_struct(row, Session) if row else None


async def session_lives(connection: Connection, clinic_id: UUID, session_id: UUID) -> bool:
    """Return whether a session still lives, without keeping it alive."""
    return await connection.fetchval(
        f"""select exists (select 1 from staff_sessions as session join staff_accounts as account
            on account.clinic_id = session.clinic_id and account.id = account_id
            where session.clinic_id = $1 and session.id = $2 and {_LIVES})""",
        clinic_id,
        session_id,
    )


async def end_session(connection: Connection, clinic_id: UUID, session_id: UUID) -> None:
    await connection.execute(
        """update staff_sessions set ended_at = now(), patient_search = ''
        where clinic_id = $1 and id = $2 and ended_at is null""",
        clinic_id,
        session_id,
    )


async def end_sessions(connection: Connection, clinic_id: UUID, account_id: UUID, *, keep: UUID | None = None) -> None:
    """End every session of an account, but for the one to keep; what was looked for in them goes too."""
    await connection.execute(
        """update staff_sessions set ended_at = now(), patient_search = ''
        where clinic_id = $1 and account_id = $2 and ended_at is null and id is distinct from $3""",
        clinic_id,
        account_id,
        keep,
    )


async def set_hide_names(connection: Connection, clinic_id: UUID, session_id: UUID, *, hide: bool) -> None:
    await connection.execute(
        "update staff_sessions set hide_names = $3 where clinic_id = $1 and id = $2", clinic_id, session_id, hide
    )


async def set_patient_search(connection: Connection, clinic_id: UUID, session_id: UUID, words: str) -> None:
    await connection.execute(
        "update staff_sessions set patient_search = $3 where clinic_id = $1 and id = $2", clinic_id, session_id, words
    )


async def forget_sessions(connection: Connection) -> None:
    """Drop sessions that were over a month ago, and with them what was looked for."""
    await connection.execute(
        "delete from staff_sessions where least(expires_at, ended_at) < now() - interval '30 days'"
    )
