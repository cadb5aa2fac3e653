"""What a process has in memory, as Linux says. What `getrusage` says of a child counts its parent's as well."""

import re
from pathlib import Path


def memory_of(pid: int, *, most: bool = False) -> float:
    """Return a process's resident memory in MB: now, or the most that it has had."""
    found = re.search(rf"{'VmHWM' if most else 'VmRSS'}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found  # noqa: S101 - Linux always says
    return int(found[1]) / 1024
