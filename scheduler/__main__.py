"""The command line: it reads what was typed, calls what does the work, and says how it went in one line or table.

Each command imports its own module when it runs, so that the web process starts without the tools of the others.
"""

import signal

if __name__ == "__main__":
    # A Ctrl-C while the rest is still being imported ends the process without a trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from scheduler.commands.access import api_key_group, staff_group
from scheduler.commands.line import of_clinic, plainly, settings_now


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Appointments for a physical therapy clinic: availability, booking, and messages that arrive once.

    Settings come from the environment; `scheduler check` lists them and says what is wrong.
    """


main.add_command(api_key_group)
main.add_command(staff_group)


@main.command("up")
@plainly
def up_command() -> None:
    """Run everything here: embedded PostgreSQL, migrations, the clinic, web and worker. Ctrl-C stops it."""
    from scheduler.commands import up

    up.run(settings_now(database=False))


@main.command("web")
@plainly
def web_command() -> None:
    """Serve the pages and the API. Any number of these may share a database."""
    from scheduler.commands import serve

    serve.run_web(settings_now())


@main.command("maintenance")
@plainly
def maintenance_command() -> None:
    """Answer in place of `web`, without a database: every page says that the service is stopped for a while."""
    from scheduler.commands import serve

    serve.run_maintenance(settings_now(database=False))


@main.command("worker")
@plainly
def worker_command() -> None:
    """Send messages and keep house. Any number of these may share a database."""
    from scheduler.commands import serve

    serve.run_worker(settings_now())


@main.command("migrate")
@click.option("--to", "revision", default="head", show_default=True, help="The revision to go to.")
@click.option("--down", is_flag=True, help="Go down instead of up; takes --to, such as `--to base`.")
@plainly
def migrate_command(revision: str, down: bool) -> None:
    """Bring the database's schema up to this release, as DATABASE_OWNER_URL where that is set."""
    from scheduler.commands import migrations

    asyncio.run(migrations.migrate(settings_now(), revision, down=down))
    click.echo(f"The schema is at {'the newest revision' if revision == 'head' else revision}.")


@main.command("backup")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--check/--no-check", default=True, show_default=True, help="Prove it: restore it beside the database.")
@plainly
def backup_command(file: Path | None, check: bool) -> Coroutine[Any, Any, None]:
    """Write everything into FILE and prove that it can be restored. Nothing need stop meanwhile."""
    from scheduler.commands import backups

    return backups.back_up(settings_now(database=False), file, check=check)


@main.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Also where the database holds patients; what was there is kept beside.")
@plainly
def restore_command(file: Path, replace: bool) -> Coroutine[Any, Any, None]:
    """Put the backup FILE in the database's place, proven first. Stop every web and worker before."""
    from scheduler.commands import backups

    return backups.restore(settings_now(database=False), file, replace=replace)


@main.command("apply")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@plainly
def apply_command(dry_run: bool) -> Coroutine[Any, Any, None]:
    """Load the clinic file (SCHEDULER_CLINIC) and say what changes. What the desk set by API stays."""
    from scheduler.commands import clinics

    return clinics.apply(settings_now(), dry_run=dry_run)


@main.command("check")
@plainly
def check_command() -> None:
    """Say what is configured and what is missing; try the database, Twilio and SMTP without sending anything."""
    from scheduler.commands import check

    sys.exit(asyncio.run(check.check(settings_now(database=False))))


@main.group("messages")
def messages_group() -> None:
    """The words of messages."""


@messages_group.command("preview")
@click.option("--language", type=click.Choice(["en", "es"]), help="Only this language.")
@click.option("--channel", type=click.Choice(["sms", "email"]), help="Only this channel.")
@plainly
def preview_command(language: Any, channel: Any) -> None:
    """Print every text of the clinic with sample data, and how many segments it takes by SMS."""
    from scheduler.commands import messages

    messages.preview(settings_now(database=False), language, channel)


@main.command("slots")
@click.argument("visit_type")
@click.option("--from", "from_date", metavar="DATE", help="First clinic date, such as 2026-12-07. Default: today.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 62), help="How many dates.")
@click.option("--therapist", metavar="CODE", help="Only this therapist.")
@of_clinic
def slots_command(
    visit_type: str, from_date: str | None, days: int, therapist: str | None, clinic_code: str | None
) -> Coroutine[Any, Any, None]:
    """Print the open times of a visit type as a table: a row a day, therapists beside each time."""
    from scheduler.commands import desk

    return desk.slots(settings_now(), visit_type, from_date, days, therapist, clinic_code)


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
@of_clinic
def book_command(visit_type: str, starts_at: str, clinic_code: str | None, **patient: Any) -> Coroutine[Any, Any, None]:
    """Book a visit as the front desk would. START is clinic time, such as 2026-12-08T09:45."""
    from scheduler.commands import desk

    return desk.book(settings_now(), visit_type, starts_at, clinic_code, **patient)


if __name__ == "__main__":
    main()
