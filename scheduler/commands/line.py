"""What every command shares: its settings, and how it ends."""

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, cast

import click

from scheduler.errors import ConfigurationError, PlacementRefused, SchedulerError
from scheduler.postgres import attached
from scheduler.settings import Settings, load_settings
from scheduler.telemetry import configure_logging

Parameters = ParamSpec("Parameters")


def settings_now(*, database: bool = True) -> Settings:
    """Return the settings of the environment, with the embedded server in them if there is one and it is wanted."""
    settings = load_settings(os.environ)
    configure_logging(settings)
    return attached(settings) if database else settings


def plainly(command: Callable[Parameters, Any]) -> Callable[Parameters, None]:
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


def of_clinic(command: Callable[Parameters, Any]) -> Callable[Parameters, None]:
    """Make a command that works on one clinic, and ends as plainly as the others."""
    return click.option("--clinic", "clinic_code", help="The clinic's code, where there are several.")(plainly(command))
