"""`scheduler backup` and `scheduler restore`: the whole service as one file, proven, and the way back."""

import contextlib
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import click

from scheduler import postgres
from scheduler.commands.migrations import admit
from scheduler.errors import ConfigurationError
from scheduler.services import backups
from scheduler.services.backups import Manifest, fingerprint
from scheduler.settings import Settings


async def back_up(settings: Settings, file: Path | None, *, check: bool) -> None:
    """Write a backup and say what is in it. Raises ConfigurationError, one sentence; then there is no file."""
    file = file or Path(f"scheduler-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump")
    began = time.monotonic()
    with _reachable(settings) as reached, _plainly():
        manifest = await backups.back_up(reached.owner_url, file, secret_key=settings.secret_key, check=check)
    size, took = file.stat().st_size / 1e6, time.monotonic() - began
    click.echo(f"{file}: {_contents(manifest)}, {size:.1f} MB, {took:.1f} s.")
    if check:
        click.echo("It was restored into a scratch database, where every row is and every promise holds.")
    beside = backups.manifest_path(file).name
    click.echo(f"Keep it with {beside} where nobody reads it, for it holds patients.")
    click.echo("SECRET_KEY and the folder config are not in it.")


async def restore(settings: Settings, file: Path, *, replace: bool) -> None:
    """Put a backup in the database's place and say what became of what was there. Raises as ``back_up`` does."""
    began = time.monotonic()
    with _reachable(settings) as reached, _plainly():
        done = await backups.restore(reached.owner_url, file, replace=replace)
        await admit(reached)
    took = time.monotonic() - began
    click.echo(
        f"Restored {_contents(done.manifest)} as of {done.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC, {took:.1f} s."
    )
    if done.manifest.secret != fingerprint(settings.secret_key):
        click.echo(
            "SECRET_KEY is another than it was: links in messages that were sent before will not open.", err=True
        )
    if done.given_up:
        click.echo(f"{done.given_up} messages were due by now and may have gone out; the desk has a task for each.")
    if done.kept_as:
        click.echo(f"What was there is kept as the database {done.kept_as}; drop it when nobody misses anything.")


@contextlib.contextmanager
def _reachable(settings: Settings) -> Generator[Settings]:
    """Yield settings whose database answers: the embedded one is started for the while where it is not running."""
    try:
        running = postgres.attached(settings)
    except ConfigurationError:
        server = postgres.start(settings.scheduler_data)
        try:
            yield postgres.attached(settings)
        finally:
            server.stop()
    else:
        yield running


@contextlib.contextmanager
def _plainly() -> Generator[None]:
    """Say in one sentence what a database says at length."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        raise ConfigurationError(f"The database refused: {type(problem).__name__}.") from problem
    except (OSError, TimeoutError) as problem:
        raise ConfigurationError(
            f"DATABASE_URL: the database cannot be used ({type(problem).__name__}): is it running and reachable?"
        ) from problem


def _contents(manifest: Manifest) -> str:
    rows = manifest.rows
    told = [f"{rows.get(name, 0):,} {name.replace('_', ' ')}" for name in ("patients", "visits", "messages")]
    return f"{', '.join(told)} and {sum(rows.values()):,} rows in all"
