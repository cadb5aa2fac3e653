"""A worker killed while a receiver has its delivery and has not answered: the next one delivers it again."""

import asyncio
from pathlib import Path

import pytest

from scheduler.domain.actors import SYSTEM
from scheduler.domain.webhooks import Reach, secret_of, written_secret
from scheduler.services import webhooks as services
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.acceptance.processes import start, until
from tests.simulators.receiver import HANG, Receiver


@pytest.mark.usefixtures("key")
async def test_kill_nine_between_claim_and_answer_delivers_again_under_the_same_id(
    pool: Pool, environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"MESSAGE_LEASE_SECONDS": "5"}
    async with Receiver() as receiver:
        receiver.replies.append(HANG)
        async with pool.acquire() as connection, connection.transaction():
            (clinic,) = await load_clinics(connection)
            webhook = await services.subscribe(
                connection, clinic, url=receiver.url, events=["visit.booked"], description="",
                reach=Reach(loopback=True), actor=SYSTEM,
            )  # fmt: skip
            await services.send_test(connection, clinic, webhook.id, actor=SYSTEM)

        async def arrived(times: int) -> bool:
            return len(receiver.received) >= times

        worker = await start("worker", environment, tmp_path / "worker.log")
        try:
            await until(lambda: arrived(1), what="the first attempt")
            await worker.kill()
            assert await pool.fetchval("select state from webhook_deliveries") == "sending"
            worker = await start("worker", environment, tmp_path / "worker.log")
            await until(lambda: arrived(2), what="the second attempt")
            await until(lambda: pool.fetchval("select true from webhook_deliveries where state = 'delivered'"))
            await asyncio.sleep(1)
            assert await worker.stop() == 0
        finally:
            await worker.kill()
    assert len(receiver.received) == 2
    assert len({one.id for one in receiver.received}) == 1
    secret = written_secret(secret_of(environment["SECRET_KEY"], clinic.id, webhook.id, webhook.generation))
    assert receiver.received[1].verified(secret)["type"] == "webhook.test"
