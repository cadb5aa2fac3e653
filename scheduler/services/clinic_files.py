"""Clinic files applied to the database: what differs is changed, what the front desk set is left alone."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinic_changes import Change, Kind, contents, difference, summarise, weekly_words
from scheduler.domain.clinic_files import REMINDER_TEMPLATES, ClinicFile, parse
from scheduler.domain.clinics import Channel
from scheduler.errors import ConfigurationError
from scheduler.services.reconcile import Note, apply_dates, apply_rows, apply_set
from scheduler.store import clinics, hours
from scheduler.store.audit import add_audit_event
from scheduler.store.connections import Connection
from scheduler.store.locks import lock_clinic


def read_files(path: Path, templates: Mapping[Channel, Collection[str]] = REMINDER_TEMPLATES) -> list[ClinicFile]:
    """Read a clinic file, or every ``*.toml`` of a folder in the order of their names.

    Raises ConfigurationError with a line for everything wrong in any of them, two files of one clinic or two
    clinics of one host included. ``templates`` are the message texts that reminders may name.
    """
    files: list[ClinicFile] = []
    problems: list[str] = []
    for each in _toml_files(path):
        try:
            files.append(parse(_read_text(each), str(each), templates))
        except ConfigurationError as problem:
            problems.append(str(problem))
    problems += _claimed_twice((file, "code", file.code) for file in files)
    problems += _claimed_twice((file, "hosts", host) for file in files for host in file.settings.hosts)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return files


async def apply_files(connection: Connection, files: Sequence[ClinicFile], *, dry_run: bool = False) -> list[Change]:
    """Make the database as the files say, in the caller's transaction, and return what that took.

    What the front desk changed stays, and is returned as ``kept``; what left a file is no longer offered but never
    forgotten, because visits refer to it. Applied again, nothing is written. A dry run does it all and undoes it,
    so it tells exactly what would happen.
    """
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        changes = [
            change
            for position, file in enumerate(files, start=1)
            for change in await _apply_file(connection, file, position)
        ]
        changes += await _clinics_without_file(connection, files)
    except BaseException:
        if not connection.is_closed():
            await savepoint.rollback()
        raise
    await (savepoint.rollback() if dry_run else savepoint.commit())
    return changes


async def _clinics_without_file(connection: Connection, files: Iterable[ClinicFile]) -> list[Change]:
    described = {file.code for file in files}
    return [
        Change(clinic=code, kind="kept", subject=f"clinic {code}", text="no file speaks of it, so it stays as it is")
        for code in await clinics.fetch_clinic_rows(connection)
        if code not in described
    ]


async def _apply_file(connection: Connection, file: ClinicFile, position: int) -> list[Change]:
    changes: list[Change] = []

    def note(kind: Kind, subject: str, text: str) -> None:
        changes.append(Change(clinic=file.code, kind=kind, subject=subject, text=text))

    is_new = await clinics.add_clinic(connection, file.code, position, file.timezone, file.settings)
    clinic_id = (await clinics.fetch_clinic_rows(connection))[file.code].id
    await lock_clinic(connection, clinic_id, exclusive=True)
    if is_new:
        note("added", f"clinic {file.code}", f"added with {contents(file)}")
    else:
        _note_clinic(note, (await clinics.fetch_clinic_rows(connection))[file.code], file, position)
    await _apply_visit_types(connection, clinic_id, note, file)
    await _apply_places(connection, clinic_id, note, file)
    await _apply_therapists(connection, clinic_id, note, file)
    await apply_dates(
        note,
        f"clinic {file.code}",
        "closure",
        await hours.fetch_closures(connection, clinic_id),
        file.closures,
        save=partial(hours.save_closure, connection, clinic_id),
        remove=partial(hours.remove_closure, connection, clinic_id),
    )
    made = [str(change) for change in summarise(changes) if change.kind != "kept"]
    if made:
        await clinics.update_clinic(connection, clinic_id, position, file.timezone, file.settings)
        await add_audit_event(
            connection, clinic_id, actor=SYSTEM.name, action="clinic.applied", details={"changes": made}
        )
    return changes


def _note_clinic(note: Note, stored: clinics.ClinicRow, file: ClinicFile, position: int) -> None:
    settings: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(file.settings))
    was = {"position": stored.position, "timezone": stored.timezone, **stored.settings}
    wanted = {"position": position, "timezone": file.timezone, **settings}
    for key in was | wanted:
        if was.get(key) != wanted.get(key):
            note("changed", f"clinic {file.code}", difference(key, was.get(key), wanted.get(key)))


async def _apply_visit_types(connection: Connection, clinic_id: UUID, note: Note, file: ClinicFile) -> None:
    await apply_rows(
        note,
        "visit type",
        await clinics.fetch_visit_types(connection, clinic_id),
        [
            clinics.VisitTypeRow(**msgspec.structs.asdict(visit_type), position=position)
            for position, visit_type in enumerate(file.visit_types, start=1)
        ],
        save=partial(clinics.save_visit_type, connection, clinic_id),
        retire=partial(clinics.retire, connection, clinic_id, "visit_types"),
    )


async def _apply_places(connection: Connection, clinic_id: UUID, note: Note, file: ClinicFile) -> None:
    tables: list[tuple[clinics.PlaceTable, str, Sequence[Any]]] = [
        ("rooms", "room", file.rooms),
        ("equipment", "equipment", file.equipment),
    ]
    for table, what, entries in tables:
        await apply_rows(
            note,
            what,
            await clinics.fetch_places(connection, clinic_id, table),
            [
                clinics.PlaceRow(**msgspec.structs.asdict(place), position=position)
                for position, place in enumerate(entries, start=1)
            ],
            save=partial(clinics.save_place, connection, clinic_id, table),
            retire=partial(clinics.retire, connection, clinic_id, table),
        )


async def _apply_therapists(connection: Connection, clinic_id: UUID, note: Note, file: ClinicFile) -> None:
    await apply_rows(
        note,
        "therapist",
        await clinics.fetch_therapists(connection, clinic_id),
        [
            clinics.TherapistRow(
                code=entry.code,
                display_name=entry.display_name,
                credential=entry.credential,
                languages=entry.languages,
                position=position,
                email=entry.email,
            )
            for position, entry in enumerate(file.therapists, start=1)
        ],
        save=partial(clinics.save_therapist, connection, clinic_id),
        retire=partial(clinics.retire, connection, clinic_id, "therapists"),
    )
    stored = await clinics.fetch_therapists(connection, clinic_id)
    performed = await clinics.fetch_performed(connection, clinic_id)
    windows = await hours.fetch_windows(connection, clinic_id)
    overrides = await hours.fetch_overrides(connection, clinic_id)
    for entry in file.therapists:
        therapist = stored[entry.code]
        subject = f"therapist {entry.code}"
        await apply_set(
            note,
            subject,
            lambda code: f"visit type {code}",
            performed.get(therapist.id, ()),
            entry.performs,
            add=partial(clinics.add_performed, connection, clinic_id, therapist.id),
            remove=partial(clinics.remove_performed, connection, clinic_id, therapist.id),
        )
        await apply_set(
            note,
            subject,
            weekly_words,
            windows.get(therapist.id, ()),
            entry.weekly,
            add=partial(hours.add_window, connection, clinic_id, therapist.id),
            remove=partial(hours.remove_window, connection, clinic_id, therapist.id),
            kept="weekly hours stay as the front desk set them" if therapist.hours_set_by == "desk" else None,
        )
        await apply_dates(
            note,
            subject,
            "override",
            overrides.get(therapist.id, {}),
            entry.overrides,
            save=partial(hours.save_override, connection, clinic_id, therapist.id),
            remove=partial(hours.remove_override, connection, clinic_id, therapist.id),
        )


def _toml_files(path: Path) -> list[Path]:
    if not path.exists():
        raise ConfigurationError(f"{path}: there is no such file or folder")
    if not path.is_dir():
        return [path]
    try:
        files = sorted(each for each in path.iterdir() if each.suffix == ".toml" and not each.name.startswith("."))
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read ({problem.strerror})") from problem
    if not files:
        raise ConfigurationError(f"{path}: holds no clinic file, whose name ends in .toml")
    return files


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"{path}: is not a UTF-8 text file") from problem
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read ({problem.strerror})") from problem


def _claimed_twice(claims: Iterable[tuple[ClinicFile, str, str]]) -> Iterator[str]:
    """Name every file that claims what an earlier one has claimed, such as its code."""
    owners: dict[str, str] = {}
    for file, key, value in claims:
        if owners.setdefault(value, file.file) != file.file:
            yield f"{file.file}: {key}: {value} belongs to {owners[value]} already"
