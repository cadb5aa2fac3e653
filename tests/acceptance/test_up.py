"""The one command: everything starts, what dies comes back, and all of it stops together."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import ROOT, Started, answers, free_port, start, until


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """Yield a data folder that every account may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="scheduler-up-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"


async def run(*words: str, **environment: str) -> tuple[int | None, str]:
    """Run a command to its end and return its exit code and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scheduler", *words, cwd=ROOT, env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    written, _ = await asyncio.wait_for(process.communicate(), timeout=30)
    return process.returncode, written.decode()


def children(process_id: int) -> dict[str, int]:
    """Return the process ids of ``scheduler web`` and ``scheduler worker`` below a process."""
    found: dict[str, int] = {}
    for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        if "scheduler" in words:
            found[words[words.index("scheduler") + 1]] = int(child)
    return found


@pytest.mark.timeout(180)
async def test_one_command_opens_the_clinic_keeps_its_data_and_stops_cleanly(data: Path, tmp_path: Path) -> None:
    environment, port = {"SCHEDULER_DATA": str(data)}, free_port()

    async def open_clinic(log: str) -> Started:
        up = await start("up", environment, tmp_path / log, port=port)

        async def welcomes() -> bool:
            return f"http://127.0.0.1:{port}/book" in up.log.read_text()

        await until(welcomes, what="the welcome")
        return up

    first = await open_clinic("first.log")
    exit_code, written = await run("api-key", "create", "kept", "--scope", "visits:read", **environment)
    assert exit_code == 0, written
    exit_code, written = await run("up", PORT=str(free_port()), **environment)
    assert exit_code == 2, written
    assert written == f"scheduler: SCHEDULER_DATA: another `scheduler up` is running on {data}; stop it first.\n"

    await first.kill()
    second = await open_clinic("second.log")
    exit_code, written = await run("api-key", "list", **environment)
    assert exit_code == 0, written
    assert "kept" in written

    for role, process_id in children(second.process.pid).items():
        os.kill(process_id, signal.SIGKILL)

        async def is_back(role: str = role, process_id: int = process_id) -> bool:
            return children(second.process.pid).get(role, process_id) != process_id

        await until(is_back, what=f"{role} to come back")
    await until(lambda: answers(second), what="web to answer again")

    began = time.monotonic()
    second.process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(second.process.wait(), timeout=10) == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in (written := second.log.read_text()), written
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not (data / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "80a"}, "PORT must be a whole number from 1 to 65535, not '80a'."),
        ({"SMTP_HOTS": "mail"}, "SMTP_HOTS is not a setting; did you mean SMTP_HOST?"),
        ({"SCHEDULER_DATA": "/dev/null/data"}, "SCHEDULER_DATA: /dev/null/data/secret_key cannot be written or read"),
        ({"SMS_CHANNEL": "twilio"}, "TWILIO_ACCOUNT_SID is needed when SMS_CHANNEL is twilio."),
        ({"HOST": "192.0.2.1"}, "HOST: 192.0.2.1 is not an address of this machine."),
        ({"SCHEDULER_CLINIC": "absent.toml"}, "absent.toml: there is no such file"),
    ],
)
async def test_a_wrong_setting_is_one_sentence_and_not_a_trace(
    environment: dict[str, str], sentence: str, data: Path
) -> None:
    exit_code, written = await run("up", **{"SCHEDULER_DATA": str(data), "PORT": str(free_port()), **environment})
    assert exit_code == 2, written
    assert written.splitlines()[-1].startswith(f"scheduler: {sentence}")
    assert "Traceback" not in written
    assert not (data / "postgres" / "postmaster.pid").exists()


async def test_a_port_in_use_is_one_sentence(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        exit_code, written = await run("up", PORT=port, SCHEDULER_DATA=str(data))
    assert exit_code == 2, written
    assert written == (
        f"scheduler: PORT: another program listens on 127.0.0.1 port {port}; stop it, or set PORT to another number.\n"
    )
