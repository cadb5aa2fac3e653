"""The files for containers, read as their tools would: what they start exists, and what they pass on is understood."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scheduler.__main__ import main
from scheduler.errors import ConfigurationError
from scheduler.settings import SETTINGS, load_settings

ROOT = Path(__file__).parents[2]

# Where things are inside the container, and what is for tests or other databases alone.
OF_THE_IMAGE = {
    "DATABASE_ALLOW_UNSAFE",
    "DATABASE_STATEMENT_CACHE_SIZE",
    "HOST",
    "PORT",
    "SCHEDULER_CLINIC",
    "SCHEDULER_DATA",
    "TWILIO_API_BASE_URL",
}
NEEDED = {
    "DATABASE_PASSWORD": "p" * 20,
    "DATABASE_OWNER_PASSWORD": "o" * 20,
    "SECRET_KEY": "k" * 40,
    "PUBLIC_BASE_URL": "https://clinic.example",
}
SENDING = {
    "SMS_CHANNEL": "twilio",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKEN": "t",
    "TWILIO_FROM": "+12015550100",
    "EMAIL_CHANNEL": "smtp",
    "SMTP_HOST": "mail.example",
}


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """Fill in ``${NAME:-default}`` and ``${NAME:?complaint}`` as compose does; a missing needed name is an error."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if not environment.get(name) and operator == "?":
            raise LookupError(name)
        return environment.get(name) or rest

    return re.sub(r"\$\{(\w+):([-?])([^}]*)\}", value, text)


def composed(**environment: str) -> dict[str, Any]:
    written = msgspec.yaml.decode((ROOT / "docker-compose.yml").read_bytes())
    return json.loads(interpolated(json.dumps(written), {**NEEDED, **environment}))["services"]


def commands_in(words: list[str]) -> list[str]:
    return re.findall(r"\bscheduler (\S+)", " ".join(words))


def instructions() -> list[tuple[str, str]]:
    """Return every instruction of the Dockerfile with its argument."""
    joined = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def test_every_service_runs_commands_that_exist() -> None:
    started = {name: commands_in(service.get("command", [])) for name, service in composed().items()}
    assert started == {"database": [], "prepare": ["migrate", "apply"], "web": ["web"], "worker": ["worker"]}
    assert {command for commands in started.values() for command in commands} <= set(main.commands)


@pytest.mark.parametrize("environment", [{}, SENDING])
def test_what_compose_passes_on_is_a_valid_configuration(environment: dict[str, str]) -> None:
    for service in ("prepare", "web", "worker"):
        passed = composed(**environment)[service]["environment"]
        assert set(passed) <= set(SETTINGS)
        settings = load_settings(passed)
        assert settings.sms_channel == environment.get("SMS_CHANNEL", "preview")
        assert settings.database_url == f"postgresql://app_rw:{'p' * 20}@database:5432/scheduler"
        # Only what prepares the database may change it, and the servers do not know how.
        owner = f"postgresql://scheduler:{'o' * 20}@database:5432/scheduler" if service == "prepare" else ""
        assert settings.database_owner_url == owner
        assert ("o" * 20 in str(passed)) == (service == "prepare")


def test_every_setting_that_an_operator_may_want_is_passed_on() -> None:
    for service in ("prepare", "web", "worker"):
        passed = composed(**{name: f"mine-{name}" for name in SETTINGS})[service]["environment"]
        own = {"DATABASE_URL", "DATABASE_OWNER_URL", "LOG_FORMAT"} & set(passed)
        assert set(SETTINGS) - set(passed) == OF_THE_IMAGE | ({"DATABASE_OWNER_URL"} - own)
        assert {name for name, value in passed.items() if value != f"mine-{name}"} == own


def test_the_readme_has_a_row_for_every_setting_and_for_nothing_else() -> None:
    section = (ROOT / "README.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    names = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = [name for cell in names for name in re.findall("`([A-Z_]+)`", cell)]
    assert told == list(SETTINGS)


@pytest.mark.parametrize("name", NEEDED)
def test_compose_starts_with_no_secret_of_its_own(name: str) -> None:
    with pytest.raises(LookupError, match=name):
        composed(**{name: ""})


def test_a_wrong_setting_passed_through_compose_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SMS_CHANNEL"):
        load_settings(composed(SMS_CHANNEL="telegram")["web"]["environment"])


def test_services_wait_for_each_other_and_the_database_keeps_its_data() -> None:
    services = composed()
    assert services["database"]["image"] == "postgres:18"
    assert services["database"]["volumes"] == ["database:/var/lib/postgresql"]
    assert services["database"]["healthcheck"]["test"][1] == "pg_isready"
    assert services["prepare"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    for name in ("web", "worker"):
        assert services[name]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}


def test_the_image_runs_our_command_healthily_and_not_as_root() -> None:
    words = dict(instructions())
    assert words["USER"] == "10001"
    assert commands_in(json.loads(words["CMD"])) == ["web"]
    check = json.loads(words["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "health check", "exec")
    assert "/health/live" in check[2]


def test_the_image_is_made_of_files_that_are_there_and_let_through() -> None:
    let_through = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        argument.split()[0] for name, argument in instructions() if name == "COPY" and not argument.startswith("--from")
    }
    assert copied == let_through
    assert all((ROOT / path).exists() for path in copied)
