"""The clinics of this installation, kept in memory, and looked at again when they change.

Clinics, visit types and people change when somebody applies a clinic file; every request needs them. Windows,
overrides and what is taken are never kept here: those are read for every answer.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit
from uuid import UUID

import structlog

from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from scheduler.store.units import reading

# What was applied is heard of at once. This is the floor under that, where nothing can be heard.
REFRESH_SECONDS = 15.0

_log = structlog.get_logger(__name__)


class Directory:
    """The clinics, in the order of their files; the first answers for hosts that no clinic names."""

    def __init__(self, clinics: list[Clinic]) -> None:
        self.replace(clinics)

    def replace(self, clinics: list[Clinic]) -> None:
        self.clinics = clinics
        self._by_id = {clinic.id: clinic for clinic in clinics}
        self._by_host = {host: clinic for clinic in reversed(clinics) for host in clinic.settings.hosts}

    def by_id(self, clinic_id: UUID) -> Clinic | None:
        return self._by_id.get(clinic_id)

    def for_host(self, host: str) -> Clinic:
        """Return the clinic that a public request to this host means; a port is not part of it."""
        return self._named(host) or self.clinics[0]

    def linked_at(self, host: str, base_url: str) -> list[Clinic]:
        """Return the clinics whose private links open at this host: the one that names it, else all of them.

        Every link begins with PUBLIC_BASE_URL, so all of them open there, whichever clinic names that host.
        """
        clinic = self._named(host)
        return self.clinics if clinic is None or host == urlsplit(base_url).netloc else [clinic]

    def _named(self, host: str) -> Clinic | None:
        return self._by_host.get(host.rpartition(":")[0] or host)


async def open_directory(pool: Pool) -> Directory:
    """Load the clinics. Raises ConfigurationError where none has been applied yet."""
    async with reading(pool) as connection:
        clinics = await load_clinics(connection)
    if not clinics:
        raise ConfigurationError("no clinic has been loaded yet: run `scheduler apply` first")
    return Directory(clinics)


async def keep_fresh(directory: Directory, pool: Pool, applied: asyncio.Event) -> None:
    """Reload the clinics whenever something was applied, and every now and then, for as long as the process lives."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(applied.wait(), REFRESH_SECONDS)
        applied.clear()
        try:
            directory.replace((await open_directory(pool)).clinics)
        except Exception as problem:  # noqa: BLE001 - yesterday's clinics are better than none
            _log.warning("directory.stale", problem=type(problem).__name__)
