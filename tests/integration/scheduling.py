"""The hours of a therapist, as tests ask for them."""

from typing import Any

import httpx

from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.requests import DAY

RIVERA = "/api/v1/therapists/rivera"


async def starts(client: httpx.AsyncClient, day: str = DAY, therapist: str = "rivera") -> list[str]:
    response = await client.get(
        "/api/v1/slots",
        params={"visit_type": "follow-up", "therapist": therapist, "from": day, "to": f"{day}T23:59:00-05:00"},
    )
    assert response.status_code == 200, response.text
    return [item["starts_at"][11:16] for item in response.json()["items"]]


async def apply_again(pool: Pool, settings: Settings) -> list[str]:
    """Apply the shipped clinic file and return what it leaves as the desk has it."""
    async with pool.acquire() as connection, connection.transaction():
        changes = await apply_files(connection, read_files(settings.scheduler_clinic))
    assert {change.kind for change in changes} <= {"kept"}, changes
    return [str(change) for change in changes]


async def audited(pool: Pool, action: str) -> list[dict[str, Any]]:
    rows = await pool.fetch("select actor, details from audit_events where action = $1 order by id", action)
    assert all(row["actor"] == "key:front desk" for row in rows)
    return [row["details"] for row in rows]


def fields(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 422, response.text
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}
