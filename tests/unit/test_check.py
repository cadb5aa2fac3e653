"""What `scheduler check` says of settings that are valid and yet may surprise."""

from pathlib import Path

import pytest

from scheduler.commands import check
from scheduler.settings import load_settings

TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+12015550100"}


@pytest.mark.parametrize(
    ("channel", "base_url", "noted"),
    [
        ("twilio", "http://clinic.example", True),
        ("twilio", "", True),
        ("twilio", "https://clinic.example", False),
        ("preview", "http://clinic.example", False),
    ],
)
async def test_texts_that_come_back_in_the_clear_are_noted_and_not_refused(
    tmp_path: Path, channel: str, base_url: str, *, noted: bool
) -> None:
    settings = load_settings(
        {"SCHEDULER_DATA": str(tmp_path), "SMS_CHANNEL": channel, "PUBLIC_BASE_URL": base_url, **TWILIO}
    )
    findings = await check._check_callbacks(settings)
    assert [finding.ok for finding in findings] == [True] * noted
    assert all(finding.text.startswith("note: PUBLIC_BASE_URL is not https") for finding in findings)
