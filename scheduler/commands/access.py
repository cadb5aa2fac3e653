"""Commands about who may come in: keys for software, accounts for people.

Each imports its own module when it runs, as in ``scheduler/__main__``.
"""

from collections.abc import Coroutine
from typing import Any

import click

from scheduler.commands.line import of_clinic, settings_now


@click.group("api-key")
def api_key_group() -> None:
    """Keys by which the front desk's software calls the API."""


@api_key_group.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What the key may do; give several times.")
@of_clinic
def create_key_command(name: str, scopes: tuple[str, ...], clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Make a key and print it: the only time it can be seen.

    Scopes: visits:read, visits:write, schedule:write, patients:read, patients:write, messages:read,
    messages:write, admin.
    """
    from scheduler.commands import keys

    return keys.create(settings_now(), name, list(scopes), clinic_code)


@api_key_group.command("rotate")
@click.argument("key_id", type=click.UUID)
@click.option("--overlap-hours", default=24, show_default=True, type=click.IntRange(0, 24 * 90),
              help="How long the old key still works.")  # fmt: skip
@of_clinic
def rotate_key_command(key_id: Any, overlap_hours: int, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Make a new key with the same name and scopes and print it; the old one works for a while yet."""
    from scheduler.commands import keys

    return keys.rotate(settings_now(), key_id, overlap_hours, clinic_code)


@api_key_group.command("list")
@of_clinic
def list_keys_command(clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """List the keys and when they were last used."""
    from scheduler.commands import keys

    return keys.show(settings_now(), clinic_code)


@api_key_group.command("revoke")
@click.argument("key_id", type=click.UUID)
@of_clinic
def revoke_key_command(key_id: Any, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Make a key useless at once."""
    from scheduler.commands import keys

    return keys.revoke(settings_now(), key_id, clinic_code)


@click.group("staff")
def staff_group() -> None:
    """Accounts by which people of the clinic sign in at /staff."""


@staff_group.command("add")
@click.argument("username")
@click.option("--name", "display_name", required=True, help="How the person is called, such as 'Ana Morales'.")
@click.option("--role", required=True, type=click.Choice(["desk", "therapist", "admin"]))
@click.option("--therapist", metavar="CODE", help="Whose schedule it is, for the role therapist.")
@of_clinic
def add_staff_command(
    username: str, display_name: str, role: Any, therapist: str | None, clinic_code: str | None
) -> Coroutine[Any, Any, None]:
    """Make an account and print its first password and the secret for an authenticator app, once."""
    from scheduler.commands import staff

    return staff.add(settings_now(), username, display_name, role, therapist, clinic_code)


@staff_group.command("list")
@of_clinic
def list_staff_command(clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """List the accounts."""
    from scheduler.commands import staff

    return staff.show(settings_now(), clinic_code)


@staff_group.command("set-role")
@click.argument("username")
@click.option("--role", required=True, type=click.Choice(["desk", "therapist", "admin"]))
@click.option("--therapist", metavar="CODE", help="Whose schedule it is, for the role therapist.")
@of_clinic
def set_role_command(
    username: str, role: Any, therapist: str | None, clinic_code: str | None
) -> Coroutine[Any, Any, None]:
    """Give an account another role, or a therapist's account another schedule. It holds from the next click on."""
    from scheduler.commands import staff

    return staff.set_role(settings_now(), username, role, therapist, clinic_code)


@staff_group.command("deactivate")
@click.argument("username")
@of_clinic
def deactivate_staff_command(username: str, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Close an account and sign it out everywhere, at once. Histories go on to name it."""
    from scheduler.commands import staff

    return staff.deactivate(settings_now(), username, clinic_code)


@staff_group.command("reset-password")
@click.argument("username")
@of_clinic
def reset_password_command(username: str, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Print another password, which the person must change at once; sign them out everywhere."""
    from scheduler.commands import staff

    return staff.reset_password(settings_now(), username, clinic_code)


@staff_group.command("reset-totp")
@click.argument("username")
@of_clinic
def reset_totp_command(username: str, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Print the secret of another phone; codes of the old one end, and so do the sessions."""
    from scheduler.commands import staff

    return staff.reset_totp(settings_now(), username, clinic_code)
