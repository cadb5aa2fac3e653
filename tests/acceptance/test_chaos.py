"""A short form of `make chaos`: a seed that once found something, and a control, which must be found.

The suite shares its processors, so nothing is said here of how long anybody waits: `make chaos` judges that.
"""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.acceptance.processes import ROOT

pytestmark = pytest.mark.timeout(240)


async def chaos(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run it as `make chaos` does, and return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos", "--without-times", "--keep", str(folder), *arguments, cwd=ROOT,
        env={"PATH": os.environ["PATH"]}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        written, _ = await process.communicate()
    finally:
        if process.returncode is None:
            # It takes down with it what it has started.
            process.send_signal(signal.SIGTERM)
            await process.wait()
    return process.returncode or 0, written.decode()


def figure(name: str, written: str) -> int:
    found = re.search(rf"^{name} +(\d+)", written, re.MULTILINE)
    assert found, written
    return int(found[1])


async def test_nothing_is_lost_or_doubled_while_the_database_is_cut_and_killed_and_a_process_is_frozen(
    tmp_path: Path,
) -> None:
    code, written = await chaos(tmp_path, "--seed", "8")
    assert code == 0, written
    assert figure("acknowledged", written) > 20
    assert (figure("lost", written), figure("doubled", written)) == (0, 0)


async def test_double_bookings_are_found_where_nothing_keeps_them_out(tmp_path: Path) -> None:
    code, written = await chaos(tmp_path, "--control", "constraint-dropped", "--seed", "1", "--seconds", "15")
    assert code == 0, written
    assert "found  constraint-dropped" in written
