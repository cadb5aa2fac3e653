"""What the desk does with patients, and what is planned for them, as tests say it."""

from typing import Any

import httpx

from scheduler.store.connections import Pool
from tests.integration.requests import ASH

AGREED = {"granted": True, "wording_version": "2026-11"}

# A row of the audit: what, whose, and with which details.
Traced = tuple[str, str | None, dict[str, Any]]


async def add(client: httpx.AsyncClient, patient: dict[str, Any] = ASH, status: int = 201) -> dict[str, Any]:
    response = await client.post("/api/v1/patients", json=patient)
    assert response.status_code == status, response.text
    return response.json()


async def change(client: httpx.AsyncClient, patient: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = await client.patch(f"/api/v1/patients/{patient['id']}", json=fields)
    assert response.status_code == 200, response.text
    return response.json()


async def say(client: httpx.AsyncClient, patient: dict[str, Any], channel: str, granted: bool) -> dict[str, Any]:
    body = {"channel": channel, "granted": granted, "wording_version": "2026-11", "method": "phone"}
    response = await client.post(f"/api/v1/patients/{patient['id']}/consents", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def planned(pool: Pool, channel: str) -> set[tuple[str, str, str]]:
    """Return what is in the outbox for a channel: state, address and language."""
    rows = await pool.fetch("select state, address, language from messages where channel = $1", channel)
    return {(row["state"], row["address"], row["language"]) for row in rows}


async def trace(pool: Pool, *actions: str) -> list[Traced]:
    rows = await pool.fetch(
        "select action, patient_id, details from audit_events where action = any($1::text[]) order by at, id",
        list(actions),
    )
    return [(row["action"], row["patient_id"] and str(row["patient_id"]), row["details"]) for row in rows]
