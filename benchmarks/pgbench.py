"""PostgreSQL's own load generator, which comes with the embedded server: what the database alone could do."""

import asyncio
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.load import LoadFailed
from scheduler import postgres

# A line of its report of the last second: progress: 2.0 s, 2310.9 tps, lat 6.91 ms stddev 2.40, 0 failed
_PROGRESS = re.compile(r"^progress: [\d.]+ s, ([\d.]+) tps", re.MULTILINE)


async def rate(
    dsn: str, script: str, constants: Mapping[str, str] | None = None, *, clients: int, seconds: int
) -> float:
    """Return transactions per second over so many seconds.

    One second before them is not counted: in it each connection plans every statement anew, as ours did long ago.
    ``:client_id`` and ``:i``, which counts the transactions of a client from 0, are there to tell them apart.
    """
    numbered = f"{script}\n\\set i :i + 1\n"
    words = [f"--time={seconds + 1}", "--progress=1", "--define=i=0"]
    output = await run(dsn, numbered, constants or {}, [*words, f"--client={clients}"])
    rates = [float(found) for found in _PROGRESS.findall(output)][1:]
    if not rates:
        raise LoadFailed("pgbench reported no progress")
    return sum(rates) / len(rates)


async def latencies(dsn: str, script: str, constants: Mapping[str, str] | None = None, *, clients: int) -> list[float]:
    """Return the milliseconds that one transaction of each client took, all begun at once."""
    with tempfile.TemporaryDirectory() as folder:
        await run(
            dsn, script, constants or {},
            [f"--client={clients}", "--transactions=1", "--log", f"--log-prefix={folder}/log"],
        )  # fmt: skip
        lines = [line for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    # Each line: client, transaction, microseconds, and more.
    return [int(line.split()[2]) / 1000 for line in lines]


async def run(dsn: str, script: str, constants: Mapping[str, str], words: Sequence[str]) -> str:
    """Run a script and return what is said about it. Raises LoadFailed, with the first complaint, where it fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        defined = [f"--define={name}={value}" for name, value in constants.items()]
        process = await asyncio.create_subprocess_exec(
            postgres.find_binaries() / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={file.name}", *defined,
            *words, dsn, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.defpath, "LC_ALL": "C"},
        )  # fmt: skip
        output = (await process.communicate())[0].decode(errors="replace")
    if process.returncode:
        complaint = next((line for line in output.splitlines() if "error" in line), output[-200:])
        raise LoadFailed(f"pgbench failed: {complaint[:300]}")
    return output
