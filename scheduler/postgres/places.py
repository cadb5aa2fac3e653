"""Where the embedded PostgreSQL lives and whom it runs as: accounts, folders and locks."""

import fcntl
import hashlib
import os
import pwd
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import structlog

from scheduler.errors import ConfigurationError

# The shortest limit of our platforms is 103 bytes for the socket's path, of which its name takes 15.
LONGEST_SOCKET_FOLDER = 88

logger = structlog.get_logger(__name__)


class Account(msgspec.Struct, frozen=True):
    """Whom the server runs as. PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def account_for(data: Path, cluster: Path) -> Account | None:
    """Return whom the server must run as when we are root: the folder's owner, or else an account made for that."""
    if os.geteuid() != 0:
        return None
    owner = (cluster if cluster.exists() else data).stat()
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    known = {entry.pw_name: Account(entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def running_as(account: Account | None) -> dict[str, Any]:
    """Return how a child process becomes the account, away from our folder, locale and environment."""
    common: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C"}}
    return common | ({"user": account.uid, "group": account.gid, "extra_groups": []} if account else {})


def give(folder: Path, account: Account | None) -> None:
    if account:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)


def make_passable(path: Path, account: Account) -> None:
    """Let the account pass through the folder and its parents, where it cannot, and say so."""
    for folder in (*reversed(path.parents), path):
        status = folder.stat()
        bit = (
            stat.S_IXUSR
            if status.st_uid == account.uid
            else stat.S_IXGRP
            if status.st_gid == account.gid
            else stat.S_IXOTH
        )
        if not status.st_mode & bit:
            folder.chmod(stat.S_IMODE(status.st_mode) | bit)
            logger.warning("Let the account that runs PostgreSQL pass through a folder", folder=folder, uid=account.uid)


def private_socket_folder(data: Path, account: Account | None) -> Path:
    folder = data / "socket"
    # Where a list of folders is meant, a comma parts them.
    if len(os.fsencode(folder)) > LONGEST_SOCKET_FOLDER or "," in str(folder):
        folder = Path(tempfile.gettempdir()) / f"scheduler-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid == os.geteuid():
        give(folder, account)
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700  # noqa: PLR2004 - a file mode
    if not private or status.st_uid != (account.uid if account else os.geteuid()):
        raise ConfigurationError(f"SCHEDULER_DATA: {folder} is not private to the account of PostgreSQL; remove it.")
    return folder


def take_lock(path: Path) -> IO[str] | None:
    """Take the lock that the file stands for until it is closed, or return None where somebody holds it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock that the file stands for."""
    lock = take_lock(path)
    if lock:
        lock.close()
    return lock is None


@contextmanager
def told_plainly(data: Path) -> Generator[None]:
    try:
        yield
    except OSError as problem:
        raise ConfigurationError(
            f"SCHEDULER_DATA: {problem.filename or data} cannot be used ({problem.strerror}); "
            "choose a folder that belongs to this account."
        ) from problem
