"""What commands share: a connection, the clinic that is meant, and tables a person can read."""

import contextlib
from collections.abc import AsyncGenerator, Sequence

import click

from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Connection, open_pool
from scheduler.store.units import unit_of_work


@contextlib.asynccontextmanager
async def clinic_work(settings: Settings, clinic_code: str | None) -> AsyncGenerator[tuple[Connection, Clinic]]:
    """Yield a transaction and the clinic meant: the only one, or the one whose code is given."""
    async with open_pool(settings) as pool, unit_of_work(pool) as connection:
        yield connection, await find_clinic(connection, clinic_code)


async def find_clinic(connection: Connection, clinic_code: str | None) -> Clinic:
    """Return the clinic with the code, or the only one. Raises ConfigurationError."""
    clinics = {clinic.code: clinic for clinic in await load_clinics(connection)}
    if not clinics:
        raise ConfigurationError("no clinic has been loaded yet: run `scheduler apply` first")
    if clinic_code is None and len(clinics) == 1:
        return next(iter(clinics.values()))
    if clinic_code not in clinics:
        raise ConfigurationError(f"--clinic: choose one of {', '.join(clinics)}")
    return clinics[clinic_code]


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell; the last one is not padded."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    for row in (headings, ["-" * width for width in widths], *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())
