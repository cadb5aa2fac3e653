"""`scheduler apply`: the clinic as data, loaded into the database."""

import click

from scheduler.domain.clinic_changes import describe
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import Settings
from scheduler.store.connections import open_pool
from scheduler.store.units import unit_of_work


async def apply(settings: Settings, *, dry_run: bool) -> None:
    """Load the clinic files and print what changed, or with ``dry_run`` what would."""
    files = read_files(settings.scheduler_clinic)
    async with open_pool(settings) as pool, unit_of_work(pool) as connection:
        changes = await apply_files(connection, files, dry_run=dry_run)
    for file in files:
        for warning in file.warnings:
            click.echo(f"warning: {warning}", err=True)
    for line in describe(changes, dry_run=dry_run):
        click.echo(line)
