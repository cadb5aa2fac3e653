"""The requests that tests make again and again, as the people who make them would say them."""

from datetime import datetime
from typing import Any

import httpx

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


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)
