"""The log that a simulator keeps for tests that kill the other side."""

import json
import os
from pathlib import Path


def append_to_log(path: Path, entry: dict[str, str]) -> None:
    """Append one line of JSON and wait until the disk has it, so that a kill right after loses nothing."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())
