"""Who a client is, however the request came, and what a clinic file says about how much it may ask for."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from scheduler.domain.clinic_files import parse
from scheduler.domain.clinics import Limits
from scheduler.errors import ConfigurationError
from scheduler.services.limits import subject_of
from scheduler.settings import Settings, load_settings
from scheduler.web.clients import find_client, name_of

SAMPLE = (Path(__file__).parents[2] / "config" / "clinic.toml").read_text()
PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48")))


def client(peer: str, forwarded: str = "") -> str:
    return name_of(find_client(peer, forwarded, PROXIES))


def test_a_stranger_cannot_say_that_they_are_somebody_else() -> None:
    assert client("203.0.113.9", "198.51.100.1") == "203.0.113.9"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.1", "198.51.100.1"),
        # What the client itself wrote stands to the left of what the proxy heard.
        ("192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("192.0.2.66,198.51.100.1 , 10.2.3.4,127.0.0.1", "198.51.100.1"),
        ("no address at all, 198.51.100.1", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("198.51.100.1, 2001:db8:ffff::1", "198.51.100.1"),
    ],
)
def test_a_trusted_proxy_is_believed_about_the_last_one_that_it_did_not_trust(forwarded: str, expected: str) -> None:
    assert client("10.0.0.7", forwarded) == expected


@pytest.mark.parametrize(
    "forwarded",
    ["", " ", ",", "unknown", "198.51.100.1, unknown", "198.51.100.1, 999.1.1.1", "10.1.1.1", "1" * 5000, "["],
)
def test_where_the_proxy_says_nothing_of_use_the_client_is_the_proxy(forwarded: str) -> None:
    assert client("10.0.0.7", forwarded) == "10.0.0.7"


def test_a_whole_ipv6_network_is_one_client_and_a_mapped_address_is_the_one_it_maps() -> None:
    assert client("2001:db8:1:2:aaaa::1") == client("2001:db8:1:2:bbbb::2") == "2001:db8:1:2::/64"
    assert client("2001:db8:1:3::1") != client("2001:db8:1:2::1")
    assert client("::ffff:203.0.113.9") == client("203.0.113.9")
    assert client("::ffff:10.0.0.7", "198.51.100.1") == "198.51.100.1"
    assert client("fe80::1%eth0") == "fe80::/64"
    assert client("") == "0.0.0.0"


def settings(**environ: str) -> Settings:
    return load_settings({"SECRET_KEY": "k" * 32, **environ})


def test_no_proxy_is_trusted_unless_it_is_named() -> None:
    assert settings().trusted_proxies == ()
    named = settings(TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1,2001:db8::/32")
    assert named.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1", "2001:db8::/32")))
    shown = {name: value for name, value, _ in named.rows()}
    assert shown["TRUSTED_PROXIES"] == "10.0.0.0/8,127.0.0.1/32,2001:db8::/32"


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "proxy.example", "10.0.0.0/8,", "*"])
def test_a_network_that_is_none_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TRUSTED_PROXIES must be networks or addresses separated by commas"):
        settings(TRUSTED_PROXIES=wrong)


def test_what_is_stored_of_a_client_cannot_be_found_by_trying_every_address() -> None:
    one = subject_of("a" * 32, "client", "203.0.113.9")
    assert one == subject_of("a" * 32, "client", "203.0.113.9")
    assert len({one, subject_of("b" * 32, "client", "203.0.113.9"), subject_of("a" * 32, "phone", "203.0.113.9")}) == 3


def test_the_clinic_file_says_how_much_the_public_may_ask_for_and_need_not() -> None:
    assert parse(SAMPLE, "clinic.toml").settings.limits == Limits()
    start, end = SAMPLE.index("[limits]"), SAMPLE.index("# The reminder ladder:")
    without = SAMPLE[:start] + SAMPLE[end:]
    assert parse(without, "clinic.toml").settings.limits == Limits()
    some = SAMPLE[:start] + "[limits]\nholds_at_once = 2\n" + SAMPLE[end:]
    assert parse(some, "clinic.toml").settings.limits == Limits(holds_at_once=2)


@pytest.mark.parametrize("line", ["holds_at_once = 0", "holds_at_once = 1.5", "hold_at_once = 3"])
def test_a_limit_that_is_none_is_refused_by_name(line: str) -> None:
    text = SAMPLE.replace("holds_at_once = 6 ", f"{line} #")
    with pytest.raises(ConfigurationError, match=f"clinic.toml: limits.{line.partition(' ')[0]}: "):
        parse(text, "clinic.toml")
