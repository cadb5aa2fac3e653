"""Webhooks by themselves: what is told of what, how it is signed, when it goes again, and where it may lead."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

import msgspec
import pytest

from scheduler.domain.visits import Visit
from scheduler.domain.webhooks import (
    LONGEST_WAIT,
    WAITS,
    Reach,
    body_of,
    event_of_visit,
    generations,
    headers_of,
    next_wait,
    read_url,
    secret_of,
    written_secret,
)
from scheduler.ids import new_id
from scheduler.telemetry import scrub

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
CLINIC, WEBHOOK = new_id(), new_id()
KEY = "k" * 32


def visit(version: int = 3) -> Visit:
    return Visit(
        id=new_id(), status="booked", version=version, visit_type="eval-run", therapist_id=new_id(), room_id=None,
        equipment_ids=(), patient_id=new_id(), starts_at=NOW, ends_at=NOW, overbook_reason=None, cancel_reason=None,
        created_by="public", created_at=NOW, previous_status=None, status_changed_at=NOW, booked_at=NOW,
    )  # fmt: skip


def test_what_the_trace_of_a_visit_says_is_told_under_three_names() -> None:
    told = {
        action: event.type if (event := event_of_visit(action, visit())) else None
        for action in ("visit.booked", "visit.cancelled", "visit.rescheduled", "visit.undone", "hold.placed")
    }
    assert told == {
        "visit.booked": "visit.booked", "visit.cancelled": "visit.cancelled", "visit.rescheduled": "visit.changed",
        "visit.undone": "visit.changed", "hold.placed": None,
    }  # fmt: skip


def test_an_event_holds_the_ids_of_a_visit_and_its_version_and_no_more() -> None:
    one = visit()
    event = event_of_visit("visit.booked", one)
    assert event is not None
    assert event.data == {"visit_id": one.id, "patient_id": one.patient_id, "version": 3}


def test_a_signature_is_what_the_authors_of_standard_webhooks_compute() -> None:
    """The numbers are of their own test suites."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    known = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert known == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    delivery = UUID(int=1)
    headers = headers_of(delivery, datetime.fromtimestamp(1614265330, UTC), b"{}", [secret, b"older"])
    assert headers["webhook-id"] == str(delivery)
    assert headers["webhook-timestamp"] == "1614265330"
    of_newest = hmac.new(secret, f"{delivery}.1614265330.{{}}".encode(), hashlib.sha256).digest()
    first, second = headers["webhook-signature"].split(" ")
    assert first == f"v1,{base64.b64encode(of_newest).decode()}"
    assert second.startswith("v1,")
    assert second != first


def test_every_clinic_webhook_and_generation_has_a_secret_of_its_own_that_never_changes() -> None:
    secrets = {
        secret_of(key, clinic, webhook, generation)
        for key in (KEY, "another key of this service, as long")
        for clinic in (CLINIC, new_id())
        for webhook in (WEBHOOK, new_id())
        for generation in (1, 2)
    }
    assert len(secrets) == 16
    assert secret_of(KEY, CLINIC, WEBHOOK, 1) == secret_of(KEY, CLINIC, WEBHOOK, 1)
    assert {len(secret) for secret in secrets} == {32}


def test_a_secret_never_reaches_a_log() -> None:
    written = written_secret(secret_of(KEY, CLINIC, WEBHOOK, 1))
    assert written.startswith("whsec_")
    assert written.removeprefix("whsec_") not in scrub(f"the secret {written} was told")


def test_the_secret_before_the_last_rotation_signs_for_a_day() -> None:
    day = timedelta(hours=24)
    assert generations(1, None, NOW) == [1]
    assert generations(3, NOW, NOW + day - timedelta(seconds=1)) == [3, 2]
    assert generations(3, NOW, NOW + day) == [3]


def test_a_body_is_the_same_whenever_it_is_made() -> None:
    data = {"visit_id": "v", "version": 1, "patient_id": "p"}
    body = body_of("visit.booked", NOW, data)
    assert body == body_of("visit.booked", NOW, dict(reversed(data.items())))
    assert msgspec.json.decode(body) == {"type": "visit.booked", "timestamp": "2026-11-23T15:00:00Z", "data": data}


def test_waits_are_those_that_standard_webhooks_advises() -> None:
    seconds = [5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))]
    assert [wait.total_seconds() for wait in WAITS] == seconds


def test_waits_grow_for_three_days_and_end() -> None:
    waits = [next_wait(attempts, None, 0.5) for attempts in range(1, len(WAITS) + 2)]
    assert waits == [*WAITS, None]
    assert timedelta(days=3) < sum(WAITS, timedelta(0)) < timedelta(days=3.5)
    for chance in (0.0, 0.999):
        wait = next_wait(2, None, chance)
        assert wait is not None
        assert 0.9 <= wait / WAITS[1] <= 1.1


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (timedelta(0), WAITS[1]),
        (timedelta(seconds=10), WAITS[1]),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=365), LONGEST_WAIT),
    ],
)
def test_a_receiver_may_ask_for_more_time_but_not_for_less(asked: timedelta, wait: timedelta) -> None:
    assert next_wait(2, asked, 0.5) == wait
    assert next_wait(len(WAITS) + 1, asked, 0.5) is None


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("93.184.215.14", "internet"),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "internet"),
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "private"),
        ("100.64.0.1", "private"),
        ("0.0.0.0", "private"),
        ("255.255.255.255", "private"),
        ("224.0.0.1", "private"),
        ("fe80::1", "private"),
        ("fd12::1", "private"),
        ("::", "private"),
        ("ff02::1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::a00:1", "private"),
        ("2002:a00:1::", "private"),
    ],
)
def test_only_what_is_on_the_internet_is_reached_unless_more_was_allowed(address: str, where: str) -> None:
    one = ip_address(address)
    assert Reach().allows(one) == (where == "internet")
    assert Reach(loopback=True).allows(one) == (where in ("internet", "loopback"))
    assert Reach(private=True).allows(one)


@pytest.mark.parametrize(
    ("url", "reach", "code"),
    [
        ("https://example.com", Reach(), None),
        ("https://example.com:8443/a/b?token=c", Reach(), None),
        ("https://93.184.215.14/", Reach(), None),
        ("http://localhost:9000/", Reach(loopback=True), None),
        ("http://[::1]:9000/", Reach(loopback=True), None),
        ("http://localhost:9000/", Reach(), "url-private"),
        ("https://localhost/", Reach(), "url-private"),
        ("http://10.0.0.7/", Reach(private=True), "url-not-https"),
        ("https://10.0.0.7/", Reach(private=True), None),
        ("https://10.0.0.7/", Reach(loopback=True), "url-private"),
        (f"https://example.com/{'a' * 1980}", Reach(), None),
        (f"https://example.com/{'a' * 1981}", Reach(), "url-invalid"),
        ("https://", Reach(), "url-invalid"),
        ("https://example.com:0/", Reach(), "url-invalid"),
        ("https://example.com:99999/", Reach(), "url-invalid"),
        ("https://exämple.com/", Reach(), "url-invalid"),
        ("https://example.com/a b", Reach(), "url-invalid"),
        ("https://example.com\\@10.0.0.7/", Reach(), "url-invalid"),
        ("https://example.com/\n", Reach(), "url-invalid"),
        ("https://2130706433/", Reach(private=True), "url-invalid"),
        ("https://0x7f000001/", Reach(private=True), "url-invalid"),
        ("https://127.1/", Reach(private=True), "url-invalid"),
        ("ftp://example.com/", Reach(), "url-not-https"),
        ("http://example.com/", Reach(), "url-not-https"),
        ("https://user:word@example.com/", Reach(), "url-with-user"),
        ("https://example.com/#a", Reach(), "url-with-fragment"),
    ],
)
def test_an_address_is_https_and_on_the_internet_unless_more_was_allowed(
    url: str, reach: Reach, code: str | None
) -> None:
    problem = read_url(url, reach)
    assert (problem.code if problem else None) == code
    assert problem is None or problem.pointer == "/url"
