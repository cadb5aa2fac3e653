"""The sample clinic in a database, and the environment that processes of the service are started with."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.domain.actors import SYSTEM
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.acceptance.processes import ROOT


@pytest.fixture
async def key(pool: Pool) -> str:
    """Apply the sample clinic, with texts allowed at any hour, and return a key of its desk."""
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(ROOT / "config" / "clinic.toml"))
        await connection.execute("update clinics set settings = jsonb_set(settings, '{text_window}', '[0, 1440]')")
        (clinic,) = await load_clinics(connection)
        _, made = await create_api_key(connection, clinic, "front desk", ["admin"], actor=SYSTEM)
    return made


@pytest.fixture
def environment(service_dsn: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": service_dsn,
        "DATABASE_ALLOW_UNSAFE": "true",
        "SCHEDULER_DATA": str(tmp_path),
        "SCHEDULER_CLINIC": str(ROOT / "config" / "clinic.toml"),
        "SECRET_KEY": "a secret that is long enough for tests",
        "LOG_FORMAT": "json",
    }


@pytest.fixture
def next_year() -> int:
    """A year whose days are bookable for staff whenever this test runs."""
    return datetime.now(UTC).year + 1
