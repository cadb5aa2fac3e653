"""Texts through Twilio's own library to a Twilio on this machine: what leaves, and what every kind of trouble means."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from scheduler.channels.base import Envelope
from scheduler.channels.sms import TwilioChannel
from scheduler.ids import new_id
from tests.simulators import twilio as simulated
from tests.simulators.twilio import Fault, TwilioSimulator, refusal
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN

PHONE = "+12015550142"
SERVICE = "MG" + "7" * 32
TEXT = "Twin Boro: su cita es mañana, mié 2 dic 9:45 AM. Llame al (201) 791-1100."
# Long enough for a busy machine to answer in, short enough to wait for.
PATIENCE = 0.4


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioSimulator]:
    async with TwilioSimulator() as simulator:
        yield simulator


@pytest.fixture
async def channel(twilio: TwilioSimulator) -> AsyncIterator[TwilioChannel]:
    channel = to(twilio)
    yield channel
    await channel.close()


def to(twilio: TwilioSimulator, **changes: Any) -> TwilioChannel:
    given: dict[str, Any] = {
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "sender": "+12015550100",
        "public_base_url": "https://clinic.example",
        "api_base_url": twilio.url,
        "timeout_seconds": PATIENCE,
    }
    return TwilioChannel(**(given | changes))


def envelope(
    message_id: UUID | None = None, *, text: str = TEXT, address: str = PHONE, seconds: int = 14400
) -> Envelope:
    return Envelope(
        message_id=message_id or new_id(), address=address, sender="", text=text, useful_for_seconds=seconds
    )


async def test_a_text_leaves_as_it_was_written(twilio: TwilioSimulator, channel: TwilioChannel) -> None:
    message = envelope()
    outcome = await channel.send(message)
    assert (outcome.result, outcome.http_status, outcome.error_code) == ("accepted", 201, None)
    assert outcome.provider_id == twilio.accepted[0].sid
    assert twilio.forms == [
        {
            "To": PHONE,
            "From": "+12015550100",
            "Body": TEXT,
            "ValidityPeriod": "14400",
            "StatusCallback": f"https://clinic.example/hooks/twilio/status/{message.message_id}#rc=3&rp=ct,rt,5xx",
        }
    ]


async def test_a_messaging_service_sends_in_place_of_a_number(twilio: TwilioSimulator) -> None:
    channel = to(twilio, sender=SERVICE)
    assert (await channel.send(envelope())).result == "accepted"
    assert twilio.forms[0]["MessagingServiceSid"] == SERVICE
    assert "From" not in twilio.forms[0]
    await channel.close()


@pytest.mark.parametrize(("seconds", "sent"), [(-5, "1"), (0, "1"), (1, "1"), (2700, "2700"), (36001, "36000")])
async def test_twilio_is_told_for_how_long_a_text_is_useful_within_its_limits(
    twilio: TwilioSimulator, channel: TwilioChannel, seconds: int, sent: str
) -> None:
    await channel.send(envelope(seconds=seconds))
    assert twilio.forms[0]["ValidityPeriod"] == sent


async def test_twilio_itself_is_asked_to_call_back_over_https_alone() -> None:
    channel = TwilioChannel(
        account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, sender=SERVICE, public_base_url="http://127.0.0.1:8000"
    )
    assert channel._callback(envelope()) is None
    await channel.close()


async def test_a_simulator_may_call_back_over_http(twilio: TwilioSimulator) -> None:
    channel = to(twilio, public_base_url="http://127.0.0.1:8000")
    await channel.send(envelope())
    assert twilio.forms[0]["StatusCallback"].startswith("http://127.0.0.1:8000/hooks/twilio/status/")
    await channel.close()


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (refusal(21211), "refused"),
        (refusal(21610), "refused"),
        (refusal(21614), "refused"),
        (refusal(21635), "refused"),
        (refusal(21408), "paused"),
        (refusal(99999), "refused"),
        (refusal(20003, 401), "paused"),
        (refusal(20003, 403), "paused"),
        (refusal(70051, 401), "paused"),
        (refusal(70051, 403), "paused"),
        (refusal(20404, 404), "paused"),
        (refusal(20003), "paused"),
        (refusal(21606), "paused"),
        (refusal(21611), "paused"),
        (refusal(21612), "paused"),
        (refusal(21659), "paused"),
        (refusal(21660), "paused"),
        (refusal(21701), "paused"),
        (refusal(30034), "paused"),
        (refusal(60728, 429), "paused"),
        (refusal(63038, 429), "paused"),
        (simulated.BUSY, "retry"),
        (refusal(20001, 408), "unknown"),
        (simulated.BROKEN, "unknown"),
        (refusal(20503, 503), "unknown"),
        (refusal(0, 502), "unknown"),
        # A server that broke down has no say about the number.
        (refusal(21211, 500), "unknown"),
        (refusal(21211, 302), "unknown"),
        (Fault(then="garbage", status=400), "refused"),
        (Fault(then="garbage", status=429), "retry"),
        (Fault(then="garbage", status=502), "unknown"),
        (simulated.DROP, "unknown"),
        (simulated.HANG, "unknown"),
    ],
)
async def test_trouble_before_twilio_takes_a_text_means_what_the_table_says(
    twilio: TwilioSimulator, channel: TwilioChannel, fault: Fault, result: str
) -> None:
    twilio.faults.append(fault)
    outcome = await channel.send(envelope())
    assert outcome.result == result
    assert outcome.http_status == (None if fault.then in ("drop", "hang") else fault.status)
    assert outcome.error_code == (str(fault.code) if fault.then == "answer" else None)
    assert outcome.provider_id is None
    assert outcome.reason.endswith(".")
    assert PHONE not in outcome.reason
    assert twilio.accepted == []
    assert len(twilio.forms) == 1, "an attempt is one request, whatever became of it"


@pytest.mark.parametrize(
    "fault",
    [
        simulated.BROKEN_AFTERWARDS,
        simulated.DROP_AFTERWARDS,
        simulated.HANG_AFTERWARDS,
        simulated.GARBAGE_AFTERWARDS,
        simulated.EMPTY_AFTERWARDS,
    ],
)
async def test_trouble_after_twilio_took_a_text_is_never_taken_for_a_failure(
    twilio: TwilioSimulator, channel: TwilioChannel, fault: Fault
) -> None:
    twilio.faults.append(fault)
    message, since = envelope(), datetime.now(UTC)
    outcome = await channel.send(message)
    assert (outcome.result, outcome.provider_id) == ("unknown", None)
    assert await channel.find(message, since) == (twilio.accepted[0].sid,), "and asking Twilio tells"


async def test_a_wrong_token_pauses_the_channel(twilio: TwilioSimulator) -> None:
    channel = to(twilio, auth_token="wrong")
    outcome = await channel.send(envelope())
    assert (outcome.result, outcome.http_status, outcome.error_code) == ("paused", 401, "20003")
    assert await channel.find(envelope(), datetime.now(UTC)) is None
    await channel.close()


async def test_a_number_that_is_none_is_refused(channel: TwilioChannel) -> None:
    outcome = await channel.send(envelope(address="12"))
    assert (outcome.result, outcome.error_code) == ("refused", "21211")


async def test_a_twilio_that_is_not_there_is_tried_again(twilio: TwilioSimulator, unused_tcp_port: int) -> None:
    channel = to(twilio, api_base_url=f"http://127.0.0.1:{unused_tcp_port}")
    outcome = await channel.send(envelope())
    assert (outcome.result, outcome.http_status) == ("retry", None)
    assert await channel.find(envelope(), datetime.now(UTC)) is None
    await channel.close()


async def test_a_connection_that_never_comes_about_is_tried_again() -> None:
    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        channel = TwilioChannel(
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            sender=SERVICE,
            public_base_url="https://clinic.example",
            api_base_url=f"https://127.0.0.1:{port}",
            timeout_seconds=PATIENCE,
        )
        outcome = await channel.send(envelope())
        await channel.close()
        ended.set()
    assert outcome.result == "retry", "TLS was never agreed on, so the request never left"


async def test_the_time_limit_is_kept(twilio: TwilioSimulator, channel: TwilioChannel) -> None:
    twilio.faults.append(simulated.HANG)
    twilio.list_faults.append(simulated.HANG)
    started = time.monotonic()
    assert (await channel.send(envelope())).result == "unknown"
    assert await channel.find(envelope(), datetime.now(UTC)) is None
    assert PATIENCE * 2 <= time.monotonic() - started < PATIENCE * 2 + 2


async def test_twenty_texts_at_once_share_ten_connections_and_mix_up_nothing(twilio: TwilioSimulator) -> None:
    channel = to(twilio, timeout_seconds=10)
    # Answers that overlap: the bodies of the first come last.
    twilio.faults.extend(
        Fault(status=500 if number % 4 else 400, code=21610, delay=(20 - number) * 0.005) for number in range(20)
    )
    messages = [envelope(text=f"Text {number}") for number in range(20)]
    with capture_logs() as logs:
        outcomes = await asyncio.gather(*(channel.send(message) for message in messages))
    assert sorted(outcome.result for outcome in outcomes) == ["refused"] * 5 + ["unknown"] * 15
    told = {entry["message_id"]: entry for entry in logs}
    for message, outcome in zip(messages, outcomes, strict=True):
        entry = told[str(message.message_id)]
        assert twilio.request_ids[message.text] == entry["request_id"], "each attempt keeps its own answer's headers"
        assert (entry["status"], entry["result"]) == (outcome.http_status, outcome.result)
    assert len(twilio.peers) <= 10
    await channel.close()


async def test_who_waits_for_a_connection_is_not_timed_meanwhile(
    twilio: TwilioSimulator, channel: TwilioChannel
) -> None:
    # All ten connections hang for as long as a text may take; the ten texts behind them have all of their time yet.
    twilio.faults.extend([simulated.HANG] * 10)
    outcomes = await asyncio.gather(*(channel.send(envelope(text=f"Text {number}")) for number in range(20)))
    assert [outcome.result for outcome in outcomes] == ["unknown"] * 10 + ["accepted"] * 10


async def test_texts_one_after_another_use_one_connection(twilio: TwilioSimulator, channel: TwilioChannel) -> None:
    for _ in range(3):
        assert (await channel.send(envelope())).result == "accepted"
    assert len(twilio.peers) == 1


async def test_no_phone_number_is_ever_logged(
    twilio: TwilioSimulator, channel: TwilioChannel, caplog: pytest.LogCaptureFixture
) -> None:
    twilio.faults.extend([refusal(21211), simulated.BROKEN, simulated.DROP, simulated.BUSY])
    twilio.list_faults.append(simulated.BROKEN)
    with caplog.at_level(logging.INFO), capture_logs() as logs:
        for _ in range(5):
            await channel.send(envelope())
        for _ in range(2):
            await channel.find(envelope(), datetime.now(UTC))
    # The simulator's own access log is another process's in life.
    said = [record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp.access")]
    # Other parts of a running application may log beside us.
    entries = [entry for entry in logs if entry.get("message_id")]
    assert len(entries) == 6, "every attempt, and the list that failed"
    assert PHONE[2:] not in f"{logs} {said}"
    assert "mañana" not in f"{logs} {said}"


async def test_twilios_edge_and_region_in_the_environment_change_nothing(
    twilio: TwilioSimulator, channel: TwilioChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    assert (await channel.send(envelope())).result == "accepted"
    assert len(twilio.accepted) == 1


async def test_asking_finds_the_very_text_and_no_other(twilio: TwilioSimulator, channel: TwilioChannel) -> None:
    wanted, since = envelope(), datetime.now(UTC)
    for other in (wanted, envelope(text=f"{TEXT} "), envelope(address="+12015550143"), envelope()):
        await channel.send(other)
    first, _, _, same_words = (message.sid for message in twilio.accepted)
    assert await channel.find(wanted, since) == (same_words, first), "newest first; whose they are the outbox knows"
    assert twilio.lists == [{"To": PHONE, "PageSize": "50"}]


async def test_asking_leaves_out_what_was_made_before(twilio: TwilioSimulator, channel: TwilioChannel) -> None:
    await channel.send(envelope())
    made = twilio.accepted[0].created_at.replace(microsecond=0)
    assert len(await channel.find(envelope(), made + timedelta(minutes=2)) or ()) == 1, (
        "clocks may differ by two minutes"
    )
    assert await channel.find(envelope(), made + timedelta(minutes=2, seconds=1)) == ()


async def test_asking_for_a_text_that_never_left_says_so(channel: TwilioChannel) -> None:
    assert await channel.find(envelope(), datetime.now(UTC)) == ()


async def test_a_list_that_lags_says_nothing_yet(twilio: TwilioSimulator, channel: TwilioChannel) -> None:
    twilio.list_lag = 0.2
    message, since = envelope(), datetime.now(UTC)
    await channel.send(message)
    assert await channel.find(message, since) == ()
    await asyncio.sleep(0.25)
    assert await channel.find(message, since) == (twilio.accepted[0].sid,)


async def test_asking_fetches_one_page_however_much_there_is(twilio: TwilioSimulator) -> None:
    channel = to(twilio, timeout_seconds=10)
    for number in range(60):
        twilio._accept({"To": PHONE, "From": "+12015550100", "Body": f"Text {number}"})
    assert await channel.find(envelope(text="Text 10"), datetime.now(UTC)) != ()
    assert await channel.find(envelope(text="Text 9"), datetime.now(UTC)) == (), "the 51st"
    assert len(twilio.lists) == 2
    await channel.close()


@pytest.mark.parametrize(
    "fault",
    [
        simulated.BUSY,
        simulated.BROKEN,
        simulated.DROP,
        Fault(then="garbage", status=200),
        Fault(then="empty", status=200),
    ],
)
async def test_a_twilio_that_does_not_answer_the_question_is_not_taken_for_a_no(
    twilio: TwilioSimulator, channel: TwilioChannel, fault: Fault
) -> None:
    # A question that is dropped is asked once more by the HTTP client, which may: it changes nothing.
    twilio.list_faults.extend([fault, fault])
    assert await channel.find(envelope(), datetime.now(UTC)) is None
