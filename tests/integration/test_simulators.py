"""The simulators' own promises, on which the tests of messages rest."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from twilio.request_validator import RequestValidator

from scheduler.channels.base import Envelope
from scheduler.channels.email import SmtpChannel
from scheduler.channels.sms import TwilioChannel
from scheduler.ids import new_id
from tests.simulators.twilio import TwilioSimulator
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN

PHONE = "+12015550142"


def envelope(address: str) -> Envelope:
    return Envelope(
        message_id=new_id(),
        address=address,
        sender="c@clinic.example",
        text="Hello",
        subject="Hi",
        useful_for_seconds=60,
    )


def channel_to(url: str, public_base_url: str = "https://clinic.example") -> TwilioChannel:
    return TwilioChannel(
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        sender="+12015550100",
        public_base_url=public_base_url,
        api_base_url=url,
    )


async def test_twilio_calls_back_signed_and_in_order() -> None:
    heard: list[tuple[str, str, bool]] = []

    async def hear(request: web.Request) -> web.Response:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        signature = RequestValidator(AUTH_TOKEN).compute_signature(f"{base}{request.path}", fields)
        heard.append((request.path, fields["MessageStatus"], request.headers["X-Twilio-Signature"] == signature))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hooks/twilio/status/{message_id}", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with TwilioSimulator(callbacks=("sent", "delivered")) as twilio:
        channel = channel_to(twilio.url, base)
        message = envelope(PHONE)
        await channel.send(message)
        await twilio.quiet()
        path = f"/hooks/twilio/status/{message.message_id}"
        assert heard == [(path, "sent", True), (path, "delivered", True)]
        assert twilio.callback_answers == [204, 204]
        assert twilio.accepted[0].status == "delivered"
        await channel.close()
    await runner.cleanup()


@asynccontextmanager
async def process(module: str, *arguments: str) -> AsyncGenerator[str]:
    """Run a simulator beside us, yield the line that it prints, and kill it."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert running.stdout
    try:
        yield (await running.stdout.readline()).decode().strip()
    finally:
        running.kill()
        await running.wait()


async def test_a_twilio_of_its_own_process_has_logged_what_it_acknowledged(tmp_path: Path) -> None:
    log = tmp_path / "accepted.jsonl"
    async with process("tests.simulators.twilio_process", "--log", str(log), "--chance", "drop-afterwards=1") as url:
        channel = channel_to(url)
        assert (await channel.send(envelope(PHONE))).result == "unknown"
        await channel.close()
    [line] = log.read_text().splitlines()
    assert (json.loads(line)["To"], json.loads(line)["Body"]) == (PHONE, "Hello")


async def test_a_mail_server_of_its_own_process_has_logged_what_it_acknowledged(tmp_path: Path) -> None:
    log = tmp_path / "accepted.jsonl"
    async with process("tests.simulators.smtp", "--log", str(log)) as port:
        message = envelope("jordan@patient.example")
        assert (await SmtpChannel(host="127.0.0.1", port=int(port), tls="none").send(message)).result == "accepted"
    [line] = log.read_text().splitlines()
    assert json.loads(line)["message_id"] == f"<{message.message_id}@clinic.example>"
