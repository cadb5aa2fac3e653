"""The operator's settings: complete and valid, or one sentence that names what is wrong."""

import stat
from pathlib import Path

import pytest

from scheduler.errors import ConfigurationError
from scheduler.settings import SETTINGS, Settings, load_settings
from scheduler.settings.forms import MASK

KEY = "k" * 32
TWILIO = {
    "SMS_CHANNEL": "twilio",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKEN": "token-of-twilio",
    "TWILIO_FROM": "+12015550100",
}
SMTP = {"EMAIL_CHANNEL": "smtp", "SMTP_HOST": "mail.example.com"}


def load(**environ: str) -> Settings:
    return load_settings({"SECRET_KEY": KEY, **environ})


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(**environ)
    return str(caught.value)


def test_nothing_needs_to_be_set() -> None:
    settings = load()
    assert settings.database_url == ""
    assert (settings.host, settings.port, settings.public_base_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert (settings.scheduler_data, settings.scheduler_clinic) == (Path(".data"), Path("config/clinic.toml"))
    assert (settings.sms_channel, settings.email_channel) == ("preview", "preview")
    assert settings.message_reconcile_seconds == (15, 45, 120, 300)
    assert settings.smtp_ca_file is None


def test_every_setting_is_a_field_and_every_field_a_setting() -> None:
    assert {name.lower() for name in SETTINGS} == set(Settings.__struct_fields__) - {"given"}


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(PORT="", SMS_CHANNEL=" ", SMTP_HOST="").port == 8000


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("SMTP_HOTS", "SMTP_HOST"), ("TWILIO_AUTHTOKEN", "TWILIO_AUTH_TOKEN"), ("SCHEDULER_DTAA", "SCHEDULER_DATA")],
)
def test_a_misspelt_setting_is_refused_with_the_one_meant(wrong: str, meant: str) -> None:
    assert refusal(**{wrong: "x"}) == f"{wrong} is not a setting; did you mean {meant}?"


def test_an_unknown_setting_of_ours_is_refused_and_others_variables_are_not() -> None:
    assert refusal(MESSAGE_COLOUR="red").startswith("MESSAGE_COLOUR is not a setting; ")
    assert load(HOME="/root", PGHOST="x", POSTGRES_PASSWORD="x").port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "80a"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "\uff18\uff10"),
        ("HOST", "clinic.example"),
        ("PUBLIC_BASE_URL", "clinic.example"),
        ("PUBLIC_BASE_URL", "ftp://clinic.example"),
        ("PUBLIC_BASE_URL", "https://clinic.example/?a=1"),
        ("PUBLIC_BASE_URL", "https://clinic.example:port"),
        ("SMS_CHANNEL", "telegram"),
        ("EMAIL_CHANNEL", "sendmail"),
        ("TWILIO_ACCOUNT_SID", "SK123"),
        ("TWILIO_MESSAGING_SERVICE_SID", "+12015550100"),
        ("TWILIO_API_BASE_URL", "http://simulator.example"),
        ("SMTP_TLS", "opportunistic"),
        ("SMTP_CA_FILE", "/does/not/exist.pem"),
        ("EMAIL_FROM", "the desk"),
        ("DATABASE_POOL_SIZE", "1"),
        ("DATABASE_ALLOW_UNSAFE", "perhaps"),
        ("MESSAGE_RECONCILE_SECONDS", "15,10"),
        ("MESSAGE_RECONCILE_SECONDS", "15,"),
        ("MESSAGE_LEASE_SECONDS", "2"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_the_name_and_the_value(name: str, value: str) -> None:
    sentence = refusal(**{name: value})
    assert sentence.startswith((f"{name} must ", f"{name} is not "))
    assert sentence.endswith(f", not {value!r}.")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@host/db"),
        ("DATABASE_URL", "postgresql://u:hunter2@host:port/db"),
        ("SECRET_KEY", "hunter2"),
    ],
)
def test_a_wrong_secret_is_not_repeated(name: str, value: str) -> None:
    sentence = refusal(**{name: value})
    assert sentence.startswith(name)
    assert "hunter2" not in sentence


@pytest.mark.parametrize("missing", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_FROM"])
def test_twilio_needs_its_settings_only_when_it_is_chosen(missing: str) -> None:
    assert missing in refusal(**{**TWILIO, missing: ""})
    assert load(**{**TWILIO, missing: "", "SMS_CHANNEL": "preview"}).sms_channel == "preview"


def test_a_messaging_service_stands_in_for_a_number() -> None:
    assert load(**{**TWILIO, "TWILIO_FROM": "", "TWILIO_MESSAGING_SERVICE_SID": "MG1"}).twilio_from == ""


def test_smtp_needs_a_host_and_a_whole_login_only_when_it_is_chosen() -> None:
    assert refusal(EMAIL_CHANNEL="smtp").startswith("SMTP_HOST is needed")
    assert "SMTP_PASSWORD" in refusal(**SMTP, SMTP_USERNAME="desk")
    assert load(SMTP_USERNAME="desk").email_channel == "preview"


def test_signatures_need_a_domain_a_name_and_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()
    settings = load(DKIM_DOMAIN="Clinic.example", DKIM_SELECTOR="mail", DKIM_PRIVATE_KEY_FILE=str(key))
    assert (settings.dkim_domain, settings.dkim_selector) == ("clinic.example", "mail")
    assert refusal(DKIM_DOMAIN="clinic.example", DKIM_SELECTOR="mail").endswith("set all three or none.")
    assert refusal(DKIM_PRIVATE_KEY_FILE=str(key)).startswith("DKIM_DOMAIN, DKIM_SELECTOR and")
    for wrong in ("clinic_example", "a..b", "-a", "clinic.example.", "a b"):
        assert refusal(DKIM_DOMAIN=wrong).startswith("DKIM_DOMAIN must be a name as the DNS has it")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_mail_in_the_clear_stays_on_this_machine(host: str) -> None:
    assert load(**{**SMTP, "SMTP_HOST": host}, SMTP_TLS="none").smtp_tls == "none"
    assert refusal(**SMTP, SMTP_TLS="none").startswith("SMTP_TLS may be none only")


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("::", "http://[::1]:9000"),
        ("localhost", "http://127.0.0.1:9000"),
        ("192.0.2.7", "http://192.0.2.7:9000"),
    ],
)
def test_links_follow_the_listen_address_unless_told_otherwise(host: str, base_url: str) -> None:
    assert load(HOST=host, PORT="9000").public_base_url == base_url
    assert load(HOST=host, PUBLIC_BASE_URL="https://clinic.example/").public_base_url == "https://clinic.example"


def test_the_embedded_mode_makes_its_secret_once_and_keeps_it_to_itself(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    first = load_settings({"SCHEDULER_DATA": str(data)})
    assert len(first.secret_key) >= 32
    assert load_settings({"SCHEDULER_DATA": str(data)}).secret_key == first.secret_key
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == ["secret_key"]
    other = load_settings({"SCHEDULER_DATA": str(tmp_path / "other")})
    assert other.secret_key != first.secret_key


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"^SCHEDULER_DATA: .*cannot be written"):
        load_settings({"SCHEDULER_DATA": str(tmp_path / "file" / "data")})


def test_a_database_of_ones_own_needs_a_secret_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY is needed when DATABASE_URL is set"):
        load_settings({"DATABASE_URL": "postgresql://db/scheduler", "SCHEDULER_DATA": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown_tells_defaults_apart_and_never_a_secret() -> None:
    settings = load(**TWILIO, SMTP_PASSWORD="of-the-post", DATABASE_URL="postgresql://desk:of-the-base@db/scheduler")
    rows = {name: (value, is_default) for name, value, is_default in settings.rows()}
    assert rows["PORT"] == ("8000", True)
    assert rows["SMS_CHANNEL"] == ("twilio", False)
    assert rows["SECRET_KEY"] == rows["TWILIO_AUTH_TOKEN"] == rows["SMTP_PASSWORD"] == (MASK, False)
    assert rows["DATABASE_URL"] == (f"postgresql://desk:{MASK}@db/scheduler", False)
    assert rows["MESSAGE_RECONCILE_SECONDS"] == ("15,45,120,300", True)
    assert rows["DATABASE_ALLOW_UNSAFE"] == ("false", True)
    shown = str(rows)
    assert not [secret for secret in (KEY, "token-of-twilio", "of-the-post", "of-the-base") if secret in shown]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://desk@db:5432/scheduler", "postgresql://desk@db:5432/scheduler"),
        ("postgresql://desk:a@b:c@db/scheduler", f"postgresql://desk:{MASK}@db/scheduler"),
        ("postgresql:///s?host=/run&password=of-the-base&port=1", f"postgresql:///s?host=/run&password={MASK}&port=1"),
    ],
)
def test_no_part_of_a_database_password_is_shown(url: str, shown: str) -> None:
    assert next(value for name, value, _ in load(DATABASE_URL=url).rows() if name == "DATABASE_URL") == shown
