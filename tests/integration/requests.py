"""The requests that tests make again and again, as the people who make them would say them."""

from datetime import datetime
from typing import Any

import httpx

from scheduler.store.connections import Pool

# A Tuesday on which much is open. Most tests' own "now" is the Monday two weeks before it.
DAY = "2026-12-08"
TEN = f"{DAY}T10:00:00-05:00"
NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")

ASH: dict[str, Any] = {
    "given_name": "Ash",
    "family_name": "Sample",
    "phone": "201 555 0142",
    "email": "ash@example.com",
    "sms_consent": {"granted": True, "wording_version": "2026-11"},
}
JO: dict[str, Any] = {"given_name": "Jo", "family_name": "Placeholder", "phone": "201 555 0143"}


async def first_slot(client: httpx.AsyncClient, visit_type: str, day: str, **filters: str) -> dict[str, Any]:
    """Return the first open slot of a visit type on a clinic date."""
    response = await client.get(
        "/api/v1/slots", params={"visit_type": visit_type, "from": day, "to": f"{day}T23:59:00-05:00", **filters}
    )
    assert response.status_code == 200, response.text
    return response.json()["items"][0]


async def hold(client: httpx.AsyncClient, visit_type: str, starts_at: str, **more: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/holds", json={"visit_type": visit_type, "starts_at": starts_at, **more})
    assert response.status_code == 201, response.text
    return response.json()


async def book_held(client: httpx.AsyncClient, held: dict[str, Any], patient: dict[str, Any] = ASH) -> httpx.Response:
    return await client.post(
        "/api/v1/visits", json={"hold_id": held["id"], "hold_token": held["token"], "patient": patient}
    )


async def book(client: httpx.AsyncClient, visit_type: str, starts_at: str, **more: Any) -> httpx.Response:
    body = {"visit_type": visit_type, "starts_at": starts_at, **more}
    if "patient_id" not in body:
        body.setdefault("patient", ASH)
    return await client.post("/api/v1/visits", json=body)


async def act(client: httpx.AsyncClient, visit: dict[str, Any], action: str, **body: Any) -> httpx.Response:
    """Do something to a visit as it was last seen."""
    return await client.post(
        f"/api/v1/visits/{visit['id']}/{action}",
        json=body or None,
        headers={"If-Match": f'"{visit["version"]}"'},
    )


async def messages_of(client: httpx.AsyncClient, visit: dict[str, Any]) -> list[dict[str, Any]]:
    response = await client.get("/api/v1/messages", params={"visit_id": visit["id"]})
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def occupied(pool: Pool, visit_id: str) -> int:
    """Return how many therapists, rooms, devices and patients a visit keeps busy."""
    return await pool.fetchval("select count(*) from occupancy where visit_id = $1", visit_id)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)
