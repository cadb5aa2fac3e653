"""What the service asks of its database before it trusts it, and what it says when the database is away."""

import msgspec
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.settings import Settings
from scheduler.store.connections import SERVER_LIMITS, WORK, Pool, open_pool


async def test_a_server_that_may_lose_what_it_acknowledged_is_refused(pool: Pool, settings: Settings) -> None:
    if await pool.fetchval("select current_setting('fsync')") == "on":
        pytest.skip("this server is a safe one")
    with pytest.raises(ConfigurationError, match="fsync=off"):
        async with open_pool(msgspec.structs.replace(settings, database_allow_unsafe=False)):
            pass


async def test_a_database_that_is_not_there_is_one_sentence(settings: Settings) -> None:
    away = msgspec.structs.replace(settings, database_url="postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        async with open_pool(away):
            pass


async def test_every_connection_gives_up_by_itself(pool: Pool, clinic: Clinic) -> None:
    assert clinic
    for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
        assert await pool.fetchval("select current_setting($1)", name) == SERVER_LIMITS[name]
    assert await pool.fetchval("select current_setting('statement_timeout')") == WORK.server


async def test_json_goes_in_and_out_as_values(pool: Pool) -> None:
    value = {"a": [1, "zwei", None], "b": {"c": True}}
    assert await pool.fetchval("select $1::jsonb", value) == value
