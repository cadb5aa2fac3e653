"""Print the OpenAPI document of the sample clinic, for tools that read it as a file: ``python -m tests.document``."""

import sys
from pathlib import Path

import msgspec

from scheduler.app import create_app
from scheduler.settings import load_settings
from scheduler.web.openapi import document_of

ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    settings = load_settings(
        {
            "DATABASE_URL": "postgresql://127.0.0.1/nobody-asks-it",
            "SCHEDULER_CLINIC": str(ROOT / "config" / "clinic.toml"),
            "SECRET_KEY": "a secret that is long enough for tests",
        }
    )
    sys.stdout.buffer.write(msgspec.json.encode(document_of(create_app(settings))))
