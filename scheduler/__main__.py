"""The command line: it reads what was typed, calls what does the work, and says how it went in one line or table.

Each command imports its own module when it runs, so that the web process starts without the tools of the others.
"""

import signal

if __name__ == "__main__":
    # A Ctrl-C while the rest is still being imported ends the process without a trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, cast

import click

from scheduler.errors import ConfigurationError, PlacementRefused, SchedulerError
from scheduler.postgres import attached
from scheduler.settings import Settings, load_settings
from scheduler.telemetry import configure_logging

Parameters = ParamSpec("Parameters")


def _settings(*, database: bool = True) -> Settings:
    settings = load_settings(os.environ)
    configure_logging(settings)
    return attached(settings) if database else settings


def _plainly(command: Callable[Parameters, Any]) -> Callable[Parameters, None]:
    """Make a command end with one clear sentence instead of a trace, and exit code 2 for what the caller can mend."""

    @functools.wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            result = command(*args, **kwargs)
            if isinstance(result, Coroutine):
                asyncio.run(result)  # pyright: ignore[reportUnknownArgumentType]
        except (ConfigurationError, SchedulerError) as problem:
            click.echo(f"scheduler: {problem}", err=True)
            if isinstance(problem, PlacementRefused):
                for slot in cast("list[Any]", problem.members.get("alternatives", [])):
                    click.echo(f"  open instead: {slot.starts_at:%a %b %d %I:%M %p} with {slot.therapist}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            sys.exit(130)

    return wrapped


def _of_clinic(command: Callable[Parameters, Any]) -> Callable[Parameters, None]:
    """Make a command that works on one clinic, and ends as plainly as the others."""
    return click.option("--clinic", "clinic_code", help="The clinic's code, where there are several.")(
        _plainly(command)
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Appointments for a physical therapy clinic: availability, booking, and messages that arrive once.

    Settings come from the environment; `scheduler check` lists them and says what is wrong.
    """


@main.command("up")
@_plainly
def up_command() -> None:
    """Run everything here: embedded PostgreSQL, migrations, the clinic, web and worker. Ctrl-C stops it."""
    from scheduler.commands import up

    up.run(_settings(database=False))


@main.command("web")
@_plainly
def web_command() -> None:
    """Serve the pages and the API. Any number of these may share a database."""
    from scheduler.commands import serve

    serve.run_web(_settings())


@main.command("maintenance")
@_plainly
def maintenance_command() -> None:
    """Answer in place of `web`, without a database: every page says that the service is stopped for a while."""
    from scheduler.commands import serve

    serve.run_maintenance(_settings(database=False))


@main.command("worker")
@_plainly
def worker_command() -> None:
    """Send messages and keep house. Any number of these may share a database."""
    from scheduler.commands import serve

    serve.run_worker(_settings())


@main.command("migrate")
@click.option("--to", "revision", default="head", show_default=True, help="The revision to go to.")
@click.option("--down", is_flag=True, help="Go down instead of up; takes --to, such as `--to base`.")
@_plainly
def migrate_command(revision: str, down: bool) -> None:
    """Bring the database's schema up to this release, as DATABASE_OWNER_URL where that is set."""
    from scheduler.commands import migrations

    asyncio.run(migrations.migrate(_settings(), revision, down=down))
    click.echo(f"The schema is at {'the newest revision' if revision == 'head' else revision}.")


@main.command("backup")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--check/--no-check", default=True, show_default=True, help="Prove it: restore it beside the database.")
@_plainly
def backup_command(file: Path | None, check: bool) -> Coroutine[Any, Any, None]:
    """Write everything into FILE and prove that it can be restored. Nothing need stop meanwhile."""
    from scheduler.commands import backups

    return backups.back_up(_settings(database=False), file, check=check)


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Also where the database holds patients; what was there is kept beside.")
@_plainly
def restore_command(file: Path, replace: bool) -> Coroutine[Any, Any, None]:
    """Put the backup FILE in the database's place, proven first. Stop every web and worker before."""
    from scheduler.commands import backups

    return backups.restore(_settings(database=False), file, replace=replace)


@main.command("apply")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@_plainly
def apply_command(dry_run: bool) -> Coroutine[Any, Any, None]:
    """Load the clinic file (SCHEDULER_CLINIC) and say what changes. What the desk set by API stays."""
    from scheduler.commands import clinics

    return clinics.apply(_settings(), dry_run=dry_run)


@main.command("check")
@_plainly
def check_command() -> None:
    """Say what is configured and what is missing; try the database, Twilio and SMTP without sending anything."""
    from scheduler.commands import check

    sys.exit(asyncio.run(check.check(_settings(database=False))))


@main.group("messages")
def messages_group() -> None:
    """The words of messages."""


@messages_group.command("preview")
@click.option("--language", type=click.Choice(["en", "es"]), help="Only this language.")
@click.option("--channel", type=click.Choice(["sms", "email"]), help="Only this channel.")
@_plainly
def preview_command(language: Any, channel: Any) -> None:
    """Print every text of the clinic with sample data, and how many segments it takes by SMS."""
    from scheduler.commands import messages

    messages.preview(_settings(database=False), language, channel)


@main.group("api-key")
def api_key_group() -> None:
    """Keys by which the front desk's software calls the API."""


@api_key_group.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What the key may do; give several times.")
@_of_clinic
def create_key_command(name: str, scopes: tuple[str, ...], clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Make a key and print it: the only time it can be seen.

    Scopes: visits:read, visits:write, schedule:write, patients:read, patients:write, messages:read,
    messages:write, admin.
    """
    from scheduler.commands import keys

    return keys.create(_settings(), name, list(scopes), clinic_code)


@api_key_group.command("rotate")
@click.argument("key_id", type=click.UUID)
@click.option("--overlap-hours", default=24, show_default=True, type=click.IntRange(0, 24 * 90),
              help="How long the old key still works.")  # fmt: skip
@_of_clinic
def rotate_key_command(key_id: Any, overlap_hours: int, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Make a new key with the same name and scopes and print it; the old one works for a while yet."""
    from scheduler.commands import keys

    return keys.rotate(_settings(), key_id, overlap_hours, clinic_code)


@api_key_group.command("list")
@_of_clinic
def list_keys_command(clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """List the keys and when they were last used."""
    from scheduler.commands import keys

    return keys.show(_settings(), clinic_code)


@api_key_group.command("revoke")
@click.argument("key_id", type=click.UUID)
@_of_clinic
def revoke_key_command(key_id: Any, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Make a key useless at once."""
    from scheduler.commands import keys

    return keys.revoke(_settings(), key_id, clinic_code)


@main.group("staff")
def staff_group() -> None:
    """Accounts by which people of the clinic sign in at /staff."""


@staff_group.command("add")
@click.argument("username")
@click.option("--name", "display_name", required=True, help="How the person is called, such as 'Ana Morales'.")
@click.option("--role", required=True, type=click.Choice(["desk", "therapist", "admin"]))
@click.option("--therapist", metavar="CODE", help="Whose schedule it is, for the role therapist.")
@_of_clinic
def add_staff_command(
    username: str, display_name: str, role: Any, therapist: str | None, clinic_code: str | None
) -> Coroutine[Any, Any, None]:
    """Make an account and print its first password and the secret for an authenticator app, once."""
    from scheduler.commands import staff

    return staff.add(_settings(), username, display_name, role, therapist, clinic_code)


@staff_group.command("list")
@_of_clinic
def list_staff_command(clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """List the accounts."""
    from scheduler.commands import staff

    return staff.show(_settings(), clinic_code)


@staff_group.command("set-role")
@click.argument("username")
@click.option("--role", required=True, type=click.Choice(["desk", "therapist", "admin"]))
@click.option("--therapist", metavar="CODE", help="Whose schedule it is, for the role therapist.")
@_of_clinic
def set_role_command(
    username: str, role: Any, therapist: str | None, clinic_code: str | None
) -> Coroutine[Any, Any, None]:
    """Give an account another role, or a therapist's account another schedule. It holds from the next click on."""
    from scheduler.commands import staff

    return staff.set_role(_settings(), username, role, therapist, clinic_code)


@staff_group.command("deactivate")
@click.argument("username")
@_of_clinic
def deactivate_staff_command(username: str, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Close an account and sign it out everywhere, at once. Histories go on to name it."""
    from scheduler.commands import staff

    return staff.deactivate(_settings(), username, clinic_code)


@staff_group.command("reset-password")
@click.argument("username")
@_of_clinic
def reset_password_command(username: str, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Print another password, which the person must change at once; sign them out everywhere."""
    from scheduler.commands import staff

    return staff.reset_password(_settings(), username, clinic_code)


@staff_group.command("reset-totp")
@click.argument("username")
@_of_clinic
def reset_totp_command(username: str, clinic_code: str | None) -> Coroutine[Any, Any, None]:
    """Print the secret of another phone; codes of the old one end, and so do the sessions."""
    from scheduler.commands import staff

    return staff.reset_totp(_settings(), username, clinic_code)


@main.command("slots")
@click.argument("visit_type")
@click.option("--from", "from_date", metavar="DATE", help="First clinic date, such as 2026-12-07. Default: today.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 62), help="How many dates.")
@click.option("--therapist", metavar="CODE", help="Only this therapist.")
@_of_clinic
def slots_command(
    visit_type: str, from_date: str | None, days: int, therapist: str | None, clinic_code: str | None
) -> Coroutine[Any, Any, None]:
    """Print the open times of a visit type as a table: a row a day, therapists beside each time."""
    from scheduler.commands import desk

    return desk.slots(_settings(), visit_type, from_date, days, therapist, clinic_code)


@main.command("book")
@click.argument("visit_type")
@click.argument("starts_at", metavar="START")
@click.option("--therapist", metavar="CODE", help="Who treats. Default: the least loaded that day.")
@click.option("--given-name", required=True, prompt=True)
@click.option("--family-name", required=True, prompt=True)
@click.option("--phone", required=True, prompt=True, help="A US number, or one with a country code.")
@click.option("--email", help="Where to write to.")
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "es"]))
@click.option("--texts/--no-texts", "sms_consent", default=None, help="What the patient said about text messages.")
@_of_clinic
def book_command(visit_type: str, starts_at: str, clinic_code: str | None, **patient: Any) -> Coroutine[Any, Any, None]:
    """Book a visit as the front desk would. START is clinic time, such as 2026-12-08T09:45."""
    from scheduler.commands import desk

    return desk.book(_settings(), visit_type, starts_at, clinic_code, **patient)


if __name__ == "__main__":
    main()
