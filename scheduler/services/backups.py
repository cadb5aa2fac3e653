"""A backup that is known to be good, and the way back from it.

A backup is a file of pg_dump's custom format and beside it a manifest. It counts as made once it was restored into a
scratch database where every table has as many rows as the snapshot had, and every promise between them holds. The way
back is the same: the file is restored beside what is there, checked, and only then takes its place; what was there is
kept under another name.
"""

import hashlib
import hmac
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec

from scheduler.errors import ConfigurationError
from scheduler.ids import new_id
from scheduler.migrate import upgrade
from scheduler.postgres import tools
from scheduler.services.failures import after_failure
from scheduler.store import backups as store
from scheduler.store.connections import Connection
from scheduler.store.schema import current_revision, newest_revision

MAINTENANCE_DATABASE = "postgres"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a backup: as of when, of which schema and server, how many rows of each table, and its digest.

    ``secret`` tells one SECRET_KEY from another without telling it: links and holds are only good with their own.
    """

    taken_at: datetime
    revision: str
    server_major: int
    rows: dict[str, int]
    sha256: str
    secret: str


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did. ``kept_as`` is the database that was there before, under its new name, if there was one.

    ``given_up`` counts the messages that were due by now: nobody can tell whether they went out since the backup.
    """

    manifest: Manifest
    kept_as: str | None
    given_up: int


def manifest_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def fingerprint(secret_key: str) -> str:
    """Return what tells one secret from another and nothing else about it."""
    return hmac.digest(secret_key.encode(), b"backup", "sha256").hex()[:16]


async def back_up(dsn: str, file: Path, *, secret_key: str, check: bool = True) -> Manifest:
    """Write a database into a new file, with its manifest beside it, and prove that both are good.

    ``dsn`` is the owner's. Raises ConfigurationError, one sentence; then nothing is left of the file.
    """
    # Under its own name it is whole and, if asked for, proven.
    draft = file.with_name(f"{file.name}.unfinished")
    for path in (file, manifest_path(file), draft):
        if path.exists():
            raise ConfigurationError(f"{path} exists already; choose another name.")
    try:
        async with store.patient_connection(dsn) as connection, store.snapshot(connection) as snapshot:
            revision = await current_revision(connection)
            if revision is None:
                raise ConfigurationError("The database holds no schema of ours: there is nothing to back up.")
            major = await store.server_major(connection)
            taken_at = datetime.now(UTC)
            await tools.dump(dsn, draft, snapshot=snapshot, major=major)
            rows = await store.count_rows(connection)
        manifest = Manifest(
            taken_at=taken_at, revision=revision, server_major=major, rows=rows, sha256=_digest(draft),
            secret=fingerprint(secret_key),
        )  # fmt: skip
        if check:
            async with _beside(dsn, draft, manifest):
                pass
        _write(manifest_path(file), msgspec.json.format(msgspec.json.encode(manifest)))
        draft.rename(file)
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be written ({problem.strerror}).") from problem
    finally:
        draft.unlink(missing_ok=True)
    return manifest


async def restore(dsn: str, file: Path, *, replace: bool = False) -> Restored:
    """Put a backup in the place of a database, brought to this release's schema; what was there is kept beside it.

    ``replace`` is needed where there are patients. Nobody may be connected. Raises ConfigurationError, one sentence;
    then nothing has changed.
    """
    manifest = _read_manifest(file)
    if manifest.revision > newest_revision():
        raise ConfigurationError(f"{file} has the schema {manifest.revision} of a newer release; install that first.")
    if not replace and await _has_patients(dsn):
        raise ConfigurationError("The database holds patients; say --replace to put the backup in its place.")
    async with _beside(dsn, file, manifest) as scratch:
        upgrade(scratch)
        given_up = await _give_up_overdue(scratch, manifest)
        kept_as = await _take_its_place(dsn, scratch)
    return Restored(manifest=manifest, kept_as=kept_as, given_up=given_up)


@asynccontextmanager
async def _beside(dsn: str, file: Path, manifest: Manifest) -> AsyncGenerator[str]:
    """Yield the address of a scratch database that was restored from a file and found to be right; drop it at last.

    Raises ConfigurationError where it is not right, or where the role may not make databases.
    """
    scratch = _named(dsn, f"scheduler_restoring_{new_id().hex}")
    async with store.patient_connection(_named(dsn, MAINTENANCE_DATABASE)) as maintenance:
        try:
            await store.make_database(maintenance, _name_of(scratch))
        except asyncpg.InsufficientPrivilegeError as problem:
            raise ConfigurationError(
                "The database's owner may not make the scratch database in which a backup is checked: "
                "allow it (alter role ... createdb)."
            ) from problem
        try:
            await tools.load(scratch, file, major=await store.server_major(maintenance))
            async with store.patient_connection(scratch) as connection:
                await _refuse_wrong(connection, manifest)
            yield scratch
        finally:
            await store.drop_database(maintenance, _name_of(scratch))


async def _refuse_wrong(connection: Connection, manifest: Manifest) -> None:
    found = await store.count_rows(connection)
    differing = [name for name in {*found, *manifest.rows} if found.get(name) != manifest.rows.get(name)]
    if differing:
        raise ConfigurationError(f"The backup is not whole: restored, {min(differing)} has other rows than before.")
    if broken := await store.broken_promises(connection):
        words, count = next(iter(broken.items()))
        raise ConfigurationError(f"What was restored does not hold together: {words} ({count}).")


async def _give_up_overdue(dsn: str, manifest: Manifest) -> int:
    reason = f"It was due when a backup of {manifest.taken_at:%Y-%m-%d %H:%M} UTC was restored, and may have gone out."
    async with store.patient_connection(dsn) as connection, connection.transaction():
        closed = await store.give_up_overdue(connection, reason)
        for row in closed:
            await after_failure(connection, row["clinic_id"], row["id"])
    return len(closed)


async def _take_its_place(dsn: str, scratch: str) -> str | None:
    name = _name_of(dsn)
    kept_as = f"{name}_until_{datetime.now(UTC):%Y%m%dT%H%M%S}"
    async with store.patient_connection(_named(dsn, MAINTENANCE_DATABASE)) as maintenance:
        there = await store.database_exists(maintenance, name)
        names = {name: kept_as, _name_of(scratch): name} if there else {_name_of(scratch): name}
        try:
            await store.rename_databases(maintenance, names)
        except asyncpg.ObjectInUseError as problem:
            raise ConfigurationError(
                "Somebody is connected to the database: stop every web and worker, then restore."
            ) from problem
    return kept_as if there else None


async def _has_patients(dsn: str) -> bool:
    try:
        async with store.patient_connection(dsn) as connection:
            return bool((await store.count_rows(connection)).get("patients"))
    except asyncpg.InvalidCatalogNameError:
        return False


def _read_manifest(file: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(manifest_path(file).read_bytes(), type=Manifest)
        digest = _digest(file)
    except OSError as problem:
        raise ConfigurationError(f"{problem.filename} cannot be read ({problem.strerror}).") from problem
    except msgspec.DecodeError as problem:
        raise ConfigurationError(f"{manifest_path(file)} is no manifest of a backup.") from problem
    if digest != manifest.sha256:
        raise ConfigurationError(
            f"{file} is not what was written: its digest is another than in {manifest_path(file)}."
        )
    return manifest


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _named(dsn: str, database: str) -> str:
    """Return the address of another database of the same server."""
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()


def _name_of(dsn: str) -> str:
    return unquote(urlsplit(dsn).path.lstrip("/"))
