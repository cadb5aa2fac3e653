"""`scheduler staff`: add, list, set-role, deactivate, reset-password, reset-totp."""

import click

from scheduler.commands.opening import clinic_work, print_table
from scheduler.domain.actors import COMMAND_LINE
from scheduler.domain.staff import Role
from scheduler.services import staff_accounts as services
from scheduler.services.staff_accounts import Credentials
from scheduler.settings import Settings


async def add(
    settings: Settings, username: str, display_name: str, role: Role, therapist: str | None, clinic_code: str | None
) -> None:
    """Make an account and print how its person gets in, once."""
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        made = await services.add(
            connection,
            clinic,
            username=username,
            display_name=display_name,
            role=role,
            therapist=therapist,
            secret_key=settings.secret_key,
            actor=COMMAND_LINE,
        )
    _tell(settings, made)


async def show(settings: Settings, clinic_code: str | None) -> None:
    """Print the clinic's accounts, those that are deactivated included."""
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        rows = [
            (
                account.username,
                account.display_name,
                account.role,
                clinic.therapist_code(account.therapist_id) if account.therapist_id else "",
                "deactivated"
                if account.deactivated
                else "sample, without a code"
                if not account.totp_salt
                else "works",
            )
            for account in await services.show(connection, clinic)
        ]
    print_table(("Username", "Name", "Role", "Therapist", "State"), rows)


async def set_role(
    settings: Settings, username: str, role: Role, therapist: str | None, clinic_code: str | None
) -> None:
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        await services.set_role(connection, clinic, username, role=role, therapist=therapist, actor=COMMAND_LINE)
    click.echo(f"The account is {role} from now on, where the person is signed in as well.")


async def deactivate(settings: Settings, username: str, clinic_code: str | None) -> None:
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        await services.deactivate(connection, clinic, username, actor=COMMAND_LINE)
    click.echo("The account is closed and signed out everywhere.")


async def reset_password(settings: Settings, username: str, clinic_code: str | None) -> None:
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        made = await services.reset_password(connection, clinic, username, actor=COMMAND_LINE)
    _tell(settings, made)


async def reset_totp(settings: Settings, username: str, clinic_code: str | None) -> None:
    async with clinic_work(settings, clinic_code) as (connection, clinic):
        made = await services.reset_totp(
            connection, clinic, username, secret_key=settings.secret_key, actor=COMMAND_LINE
        )
    _tell(settings, made)


def _tell(settings: Settings, made: Credentials) -> None:
    """Print what is shown once: what a person types, on standard output, and what to do with it beside that."""
    click.echo("Give this to the person and to nobody else; it is not shown again.", err=True)
    lines = [
        ("Sign in at", f"{settings.public_base_url}/staff"),
        ("Username", made.username),
        ("Password, to be changed at once", made.password),
        ("For the authenticator app", made.totp_secret),
        ("The same as a QR code's address", made.totp_uri),
    ]
    for label, value in lines:
        if value:
            click.echo(f"{label}: {value}")
