"""Passwords, kept as argon2id (RFC 9106) and compared off the event loop, a few at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)

# Each takes 64 MB and a core for a twentieth of a second. However many people sign in, no more than this is taken.
_threads = ThreadPoolExecutor(2, thread_name_prefix="argon2")

# Of a password that nobody has. What is typed for an unknown name is compared with it, so that it takes as long.
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$XAJmsAXCcNj/dQjIxKJCZw$7dLBGfPzbpzNh7ogJUN3vNHtcg4XrEpsELeZw7eNUUY"


async def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def is_password(password_hash: str | None, password: str) -> bool:
    """Return whether this is the password; for None never, after the same work."""
    fits = await asyncio.get_running_loop().run_in_executor(_threads, _fits, password_hash or _NOBODYS, password)
    return fits and password_hash is not None


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
