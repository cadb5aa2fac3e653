"""The service as patients meet it: a real web process on a database of its own, with the sample clinic."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
from twilio.request_validator import RequestValidator

from scheduler.domain.actors import SYSTEM
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import load_settings
from scheduler.store.clinics import APPLIED, load_clinics
from scheduler.store.connections import Pool, open_pool
from tests.acceptance.processes import ROOT, running
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER

SECRET_KEY = "a secret that is long enough for tests"

# What a clinic decides stays between tests; what patients did goes.
_KEPT = {
    "alembic_version", "api_keys", "clinics", "closures", "equipment", "overrides", "resources", "rooms",
    "therapist_visit_types", "therapists", "visit_types", "working_windows",
}  # fmt: skip


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A running web process. ``desk`` is a client with a key for everything; ``log`` is all that it has written."""

    url: str
    dsn: str
    pool: Pool
    desk: httpx.AsyncClient
    log: Path
    environment: dict[str, str]

    async def slots(self, visit_type: str = "eval-run", *, first: str, until: str, **filters: str) -> list[Any]:
        """Return the open slots between two clinic dates."""
        query = {"visit_type": visit_type, "from": first, "to": until, **filters}
        response = await self.desk.get("/api/v1/slots", params=query)
        assert response.status_code == 200, response.text
        return response.json()["items"]

    async def text_in(self, sender: str, words: str) -> None:
        """Have Twilio pass on a text that a patient sent."""
        fields = {
            "MessageSid": f"SM{abs(hash((sender, words))):032x}"[:34], "AccountSid": ACCOUNT_SID, "From": sender,
            "To": OUR_NUMBER, "Body": words, "NumMedia": "0",
        }  # fmt: skip
        address = f"{self.url}/hooks/twilio/inbound"
        signature = RequestValidator(AUTH_TOKEN).compute_signature(address, fields)
        response = await self.desk.post(
            "/hooks/twilio/inbound", content=urlencode(fields),
            headers={"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip
        assert response.status_code == 200, response.text

    async def decide(self, name: str, value: Any) -> None:
        """Let the clinic decide something else than its file says, and the process hear of it."""
        statement = "update clinics set settings = jsonb_set(settings, array[$1], $2::jsonb)"
        await self.pool.execute(statement, name, value)
        await self.pool.execute(f"select pg_notify('{APPLIED}', '')")

    async def forget_patients(self) -> None:
        """Empty every table that is not the clinic's own."""
        tables = await self.pool.fetch("select tablename from pg_tables where schemaname = 'public'")
        names = [f'delete from "{name}"' for (name,) in tables if name not in _KEPT]
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("set local session_replication_role = replica")
            await connection.execute(";".join(names))


def sample_clinic(folder: Path, **numbers: int) -> Path:
    """Write the sample clinic with other numbers into a folder, and return its file."""
    text = (ROOT / "config" / "clinic.toml").read_text()
    for name, number in numbers.items():
        text, changed = re.subn(rf"(?m)^{name} = \d+", f"{name} = {number}", text)
        assert changed, f"the sample clinic has no {name}"
    file = folder / "clinic.toml"
    file.write_text(text)
    (folder / "messages").symlink_to(ROOT / "config" / "messages")
    return file


@asynccontextmanager
async def open_site(dsn: str, folder: Path, *, timezone: str = "America/New_York") -> AsyncGenerator[Site]:
    """Yield the service over a migrated database without a clinic, whose clocks are those of a zone.

    Patients may book for more than a year ahead, so that the clocks change within it, and as fast as a test goes. The
    process takes a client's address from X-Forwarded-For, so that every browser can be a client of its own.
    """
    clinic_file = sample_clinic(folder, horizon_days=400, changes_per_minute=10_000, reads_per_minute=10_000)
    clinic_file.write_text(clinic_file.read_text().replace("America/New_York", timezone))
    environment = {
        "DATABASE_URL": dsn,
        "DATABASE_ALLOW_UNSAFE": "true",
        "DATABASE_POOL_SIZE": "5",
        "SCHEDULER_DATA": str(folder),
        "SCHEDULER_CLINIC": str(clinic_file),
        "SECRET_KEY": SECRET_KEY,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "debug",
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_FROM": OUR_NUMBER,
    }
    async with open_pool(load_settings({**environment, "DATABASE_POOL_SIZE": "2"})) as pool:
        async with pool.acquire() as connection, connection.transaction():
            await apply_files(connection, read_files(clinic_file))
            (clinic,) = await load_clinics(connection)
            _, key = await create_api_key(connection, clinic, "front desk", ["admin"], actor=SYSTEM)
        log = folder / "web.log"
        async with (
            running("web", environment, log, web=True) as web,
            httpx.AsyncClient(base_url=web.url, headers={"Authorization": f"Bearer {key}"}) as desk,
        ):
            yield Site(url=web.url, dsn=dsn, pool=pool, desk=desk, log=log, environment=environment)
