"""The command line as it is typed: what it prints, and one clear sentence where something is wrong."""

import asyncio
import os
import sys

import pytest

from scheduler.channels.texts import load_texts
from scheduler.settings import SETTINGS
from scheduler.store.connections import Pool
from tests.acceptance.processes import ROOT

README = ROOT / "README.md"


async def scheduler(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run `scheduler` and return its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scheduler", *arguments, cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), timeout=30)
    assert process.returncode is not None
    assert "Traceback" not in errors.decode()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
async def clinic(environment: dict[str, str], pool: Pool) -> dict[str, str]:
    code, output, errors = await scheduler(environment, "apply")
    assert (code, output.splitlines()[0]) == (0, "fair-lawn"), errors
    assert await pool.fetchval("select count(*) from therapists") == 4
    return environment


async def test_the_desks_two_questions_are_answered_with_tables(clinic: dict[str, str], pool: Pool) -> None:
    day = await pool.fetchval("select to_char(date_trunc('week', now()) + interval '8 weeks 1 day', 'YYYY-MM-DD')")
    code, output, errors = await scheduler(clinic, "slots", "follow-up", "--from", day, "--days", "1")
    assert code == 0, errors
    lines = output.splitlines()
    assert lines[2].split() == ["Day", "Time", "Therapists"]
    first_time = lines[4].split()[3]
    hour, minute = first_time.split(":")
    start = f"{day}T{int(hour):02}:{minute}"
    patient = ["--given-name", "Jo", "--family-name", "Sample", "--phone", "201 555 0143", "--texts"]
    code, output, errors = await scheduler(clinic, "book", "follow-up", start, *patient)
    assert code == 0, errors
    assert "Booked" in output
    assert "Jo S." in output
    assert "reminder_24h" in output
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 1
    code, _, errors = await scheduler(clinic, "book", "follow-up", start, *patient)
    assert code == 2
    assert "taken" in errors
    assert "open instead:" in errors


async def test_an_account_is_made_given_another_role_and_listed(clinic: dict[str, str]) -> None:
    code, output, errors = await scheduler(clinic, "staff", "add", "rae", "--name", "Rae Rivera", "--role", "desk")
    assert (code, output.splitlines()[1]) == (0, "Username: rae"), errors
    code, output, errors = await scheduler(clinic, "staff", "set-role", "rae", "--role", "therapist")
    assert (code, "--therapist: a therapist's account" in errors) == (2, True)
    change = ["--role", "therapist", "--therapist", "rivera"]
    code, output, errors = await scheduler(clinic, "staff", "set-role", "rae", *change)
    assert (code, output.startswith("The account is therapist from now on")) == (0, True), errors
    _, output, _ = await scheduler(clinic, "staff", "list")
    assert "rae       Rae Rivera  therapist  rivera" in output


async def test_a_key_is_made_listed_and_revoked(clinic: dict[str, str], pool: Pool) -> None:
    code, key, errors = await scheduler(clinic, "api-key", "create", "desk", "--scope", "visits:read")
    assert code == 0, errors
    assert key.startswith("tbs_")
    assert key.strip() not in errors
    key_id = str(await pool.fetchval("select id from api_keys"))
    _, listed, _ = await scheduler(clinic, "api-key", "list")
    assert key_id in listed
    assert "works" in listed
    assert key.strip() not in listed
    assert (await scheduler(clinic, "api-key", "revoke", key_id))[0] == 0
    _, listed, _ = await scheduler(clinic, "api-key", "list")
    assert "revoked" in listed
    code, _, errors = await scheduler(clinic, "api-key", "revoke", key_id)
    assert (code, "no working key" in errors) == (2, True)


async def test_applying_twice_changes_nothing_and_check_finds_everything_in_place(clinic: dict[str, str]) -> None:
    code, output, _ = await scheduler(clinic, "apply", "--dry-run")
    assert (code, output.strip()) == (0, "Nothing to change.")
    code, output, _ = await scheduler(clinic, "check")
    assert code == 0, output
    assert "PROBLEM" not in output
    assert "a secret that is long enough" not in output


async def test_check_says_what_is_wrong_and_sends_nothing(environment: dict[str, str]) -> None:
    broken = environment | {
        "SMS_CHANNEL": "twilio",
        "TWILIO_ACCOUNT_SID": "AC" + "5" * 32,
        "TWILIO_AUTH_TOKEN": "secret-token",
        "TWILIO_FROM": "+12015550100",
        "TWILIO_API_BASE_URL": "http://127.0.0.1:9",
        "EMAIL_CHANNEL": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": "9",
        "SMTP_TLS": "none",
    }
    code, output, _ = await scheduler(broken, "check")
    assert code == 1
    assert "holds no clinic" in output
    assert "Twilio cannot be reached" in output
    assert "mail relay cannot be used" in output
    assert "secret-token" not in output


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"SMS_CHANNEL": "pigeon"}, ("web",), "SMS_CHANNEL"),
        ({"TWILIO_TOKEN": "x"}, ("web",), "TWILIO_TOKEN"),
        ({"PORT": "eighty"}, ("web",), "PORT"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, ("worker",), "DATABASE_URL"),
        ({"SCHEDULER_CLINIC": "nowhere.toml"}, ("apply",), "nowhere.toml"),
        ({}, ("slots", "massage"), "visit type"),
        ({}, ("slots", "follow-up", "--from", "soon"), "--from"),
        ({}, ("api-key", "create", "x", "--scope", "everything"), "everything"),
    ],
)
async def test_what_is_wrong_is_one_sentence_that_names_it(
    key: str, environment: dict[str, str], changes: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    assert key
    code, _, errors = await scheduler(environment | changes, *arguments)
    assert code == 2
    sentences = [line for line in errors.splitlines() if not line.startswith("{")]
    assert len(sentences) == 1, errors
    assert said in sentences[0]


async def test_a_taken_port_is_one_sentence(key: str, environment: dict[str, str]) -> None:
    assert key
    listener = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        code, _, errors = await scheduler(environment | {"PORT": str(port)}, "web")
    assert code == 2
    assert f"port {port}" in errors


def test_the_readme_names_every_setting() -> None:
    readme = README.read_text()
    assert [name for name in SETTINGS if f"`{name}`" not in readme] == []


async def test_every_text_is_previewed_in_both_languages_and_no_database_is_asked(environment: dict[str, str]) -> None:
    code, output, errors = await scheduler(
        environment | {"DATABASE_URL": "postgresql://nowhere/none"}, "messages", "preview"
    )
    assert code == 0, errors
    texts = load_texts(ROOT / "config" / "messages")
    headings = [line.split("  ")[1] for line in output.splitlines() if line.startswith("fair-lawn  ")]
    assert headings == [
        f"{language}.toml: {channel}.{name}"
        for language, channels in texts.languages.items()
        for channel, templates in channels.items()
        for name in templates
    ]
    assert "Twin Boro Physical Therapy Fair Lawn: you are booked" in output
    assert "Turn off email reminders: " not in output, "a sample has no link that acts"
    costs = [line for line in output.splitlines() if ": sms." in line]
    assert costs
    assert all("GSM-7" in line and line.endswith("1 segment") for line in costs)
    code, output, _ = await scheduler(environment, "messages", "preview", "--language", "es", "--channel", "sms")
    assert code == 0
    assert {line.split()[1] for line in output.splitlines() if line.startswith("fair-lawn")} == {"es.toml:"}
