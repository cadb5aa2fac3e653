"""Every process knows of a change of a clinic's file as soon as it is applied, without a look at the clock."""

from datetime import timedelta

import msgspec
import pytest

from scheduler.app import create_app
from scheduler.domain.clinic_files import ClinicFile
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.directory import REFRESH_SECONDS, Directory
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.acceptance.processes import until
from tests.integration.conftest import running

_END_LISTENING = """select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and query ilike 'listen%'"""


@pytest.fixture
def file(settings: Settings) -> ClinicFile:
    """Return the sample clinic's file."""
    return read_files(settings.scheduler_clinic)[0]


def with_longer_visits(file: ClinicFile) -> ClinicFile:
    longer = [msgspec.structs.replace(each, duration_minutes=75) for each in file.visit_types]
    return msgspec.structs.replace(file, visit_types=longer)


async def apply(pool: Pool, *files: ClinicFile) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, list(files))


async def heard(directory: Directory, *minutes: int) -> None:
    """Wait until a process knows clinics whose evaluations are so long, but not until it would look by itself."""
    wanted = [timedelta(minutes=each) for each in minutes]

    async def knows() -> bool:
        return [clinic.visit_types["eval"].duration for clinic in directory.clinics] == wanted

    await until(knows, seconds=REFRESH_SECONDS / 3, what=f"clinics with {minutes}")


async def test_what_is_applied_is_known_at_once(settings: Settings, pool: Pool, file: ClinicFile) -> None:
    await apply(pool, file)
    async with running(create_app(settings)) as app:
        directory: Directory = app.state.directory
        await heard(directory, 60)
        await apply(pool, with_longer_visits(file))
        await heard(directory, 75)
        await apply(pool, file, with_longer_visits(msgspec.structs.replace(file, code="wayne")))
        await heard(directory, 60, 75)


async def test_what_was_told_while_nobody_listened_is_known_once_somebody_does_again(
    settings: Settings, pool: Pool, file: ClinicFile
) -> None:
    await apply(pool, file)
    async with running(create_app(settings)) as app:
        await until(lambda: pool.fetchval(_END_LISTENING), what="a connection that listens")
        await apply(pool, with_longer_visits(file))
        await heard(app.state.directory, 75)
