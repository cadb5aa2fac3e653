"""The examples do what they say, against a real process and through the API alone."""

import asyncio
import sys
from pathlib import Path

from tests.acceptance.processes import ROOT, running


async def test_a_clinics_day_can_be_lived_through_the_api_alone(
    environment: dict[str, str], key: str, tmp_path: Path
) -> None:
    async with running("web", environment, tmp_path / "web.log", web=True) as web:
        for _ in range(2):
            # The second day is lived among what the first one left behind.
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(ROOT / "examples" / "clinic_day.py"), "--url", web.url, "--key", key,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            told, _ = await process.communicate()
            story = told.decode()
            assert process.returncode == 0, story
            assert "None of the proposals" not in story
            assert story.count("moved to") == 3, story
            assert "Checked in, treated: completed" in story
            assert story.rstrip().endswith("The day is done.")
    log = (tmp_path / "web.log").read_text()
    assert "201555" not in log.replace(" ", "")
    assert "ash@example.com" not in log
