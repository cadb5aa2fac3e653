"""`scheduler api-key`: create, rotate, list, revoke."""

from datetime import timedelta
from uuid import UUID

import click

from scheduler.commands.opening import clinic_work, print_table
from scheduler.domain.actors import COMMAND_LINE
from scheduler.domain.clinics import Clinic
from scheduler.errors import ConfigurationError
from scheduler.services import api_keys as services
from scheduler.settings import Settings
from scheduler.store.api_keys import ApiKey


async def create(settings: Settings, name: str, scopes: list[str], clinic_code: str | None) -> None:
    """Make a key and print it alone on standard output, so that a script can take it."""
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        key_id, key = await services.create_api_key(connection, clinic, name, scopes, actor=COMMAND_LINE)
    click.echo(f"Key {key_id} for {name}. Keep it safe, it is not shown again:", err=True)
    click.echo(key)


async def rotate(settings: Settings, key_id: UUID, overlap_hours: int, clinic_code: str | None) -> None:
    """Make the key that takes another's place and print it alone on standard output."""
    overlap = timedelta(hours=overlap_hours)
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        old, new_key_id, key = await services.rotate(connection, clinic, key_id, overlap=overlap, actor=COMMAND_LINE)
        state = _state(old, clinic)
    click.echo(f"The old key of {old.name}: {state}.", err=True)
    click.echo(f"Key {new_key_id} takes its place. Keep it safe, it is not shown again:", err=True)
    click.echo(key)


async def show(settings: Settings, clinic_code: str | None) -> None:
    """Print the clinic's keys, those that no longer work included."""
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        found = await services.list_keys(connection, clinic)
        print_table(
            ("Id", "Name", "Scopes", "Last used", "State"),
            [
                (
                    str(key.id),
                    key.name,
                    " ".join(sorted(key.scopes)),
                    f"{clinic.local(key.last_used_at):%Y-%m-%d %H:%M}" if key.last_used_at else "never",
                    _state(key, clinic),
                )
                for key in found
            ],
        )


async def revoke(settings: Settings, key_id: UUID, clinic_code: str | None) -> None:
    """Revoke a key. Raises ConfigurationError where there is none that still works."""
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        if not await services.revoke(connection, clinic, key_id, actor=COMMAND_LINE):
            raise ConfigurationError(f"there is no working key {key_id}")
    click.echo("The key no longer works.")


def _state(key: ApiKey, clinic: Clinic) -> str:
    if key.revoked_at:
        return "revoked"
    if not key.works:
        return "expired"
    return f"works until {clinic.local(key.expires_at):%Y-%m-%d %H:%M}" if key.expires_at else "works"
