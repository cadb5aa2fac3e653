"""`scheduler messages`: what patients would read, before anybody reads it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import click

from scheduler.channels.segments import count
from scheduler.channels.texts import CHANNELS, load_texts
from scheduler.domain.clinic_files import ClinicFile
from scheduler.domain.clinics import LANGUAGES, Channel, Clinic, Language
from scheduler.services.clinic_files import read_files
from scheduler.services.messages import sample
from scheduler.settings import Settings


def preview(settings: Settings, language: Language | None, channel: Channel | None) -> None:
    """Print every text of the clinic files with sample data, and what it costs by SMS; nothing is sent."""
    texts = load_texts(settings.scheduler_clinic.parent / "messages")
    now = datetime.now(UTC)
    for file in read_files(settings.scheduler_clinic):
        clinic = _clinic(file)
        for spoken, way in _chosen(language, channel):
            for name in texts.languages[spoken][way]:
                said = sample(texts, clinic, name, way, spoken, base_url=settings.public_base_url, now=now)
                click.echo(f"{clinic.code}  {spoken}.toml: {way}.{name}{_cost(said.text) if way == 'sms' else ''}")
                lines = [f"Subject: {said.subject}", ""] if said.subject else []
                click.echo("".join(f"    {line}".rstrip() + "\n" for line in [*lines, *said.text.splitlines()]))


def _chosen(language: Language | None, channel: Channel | None) -> Iterator[tuple[Language, Channel]]:
    for spoken in LANGUAGES:
        for way in CHANNELS:
            if language in (None, spoken) and channel in (None, way):
                yield spoken, way


def _cost(text: str) -> str:
    cost = count(text)
    return f"  {cost.encoding}, {cost.units} units, {cost.segments} segment{'s' * (cost.segments != 1)}"


def _clinic(file: ClinicFile) -> Clinic:
    """Return as much of the clinic as its texts tell; no database is asked."""
    return Clinic(
        id=UUID(int=0),
        code=file.code,
        timezone=file.timezone,
        settings=file.settings,
        visit_types={visit_type.code: visit_type for visit_type in file.visit_types},
        therapists={},
        rooms={},
        equipment={},
    )
