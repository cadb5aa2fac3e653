"""What is offered instead of a time that cannot be had: near, and open to whoever asks in the same way again."""

from typing import Any

import httpx
import pytest

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.errors import SlotTaken
from scheduler.services.visits import reschedule
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, DAY, JO, NOW, TEN, act, book, book_held, hold, local

pytestmark = pytest.mark.usefixtures("monday")

PATIENT = Actor(name="patient")


def at(clock: str) -> str:
    return f"{DAY}T{clock}:00-05:00"


def instead(refused: httpx.Response) -> list[dict[str, Any]]:
    """Return the alternatives of a refusal, five of them, nearest to ten o'clock first."""
    assert refused.status_code == 409, refused.text
    found = refused.json()["alternatives"]
    distances = [abs(local(slot["starts_at"]) - local(TEN)) for slot in found]
    assert len(found) == 5
    assert distances == sorted(distances)
    return found


async def undone(client: httpx.AsyncClient, booked: httpx.Response) -> None:
    """Take a booking back, so that the next alternative is tried as it was offered."""
    assert booked.status_code == 201, booked.text
    assert (await act(client, booked.json(), "cancel", reason="only tried", notify=False)).status_code == 200


async def test_a_patient_who_is_elsewhere_is_offered_times_at_which_they_are_not(desk: httpx.AsyncClient) -> None:
    await book(desk, "follow-up", TEN, therapist="rivera")
    refused = await book(desk, "follow-up", TEN, therapist="okafor")
    assert refused.json()["conflict"] == "patient"
    for slot in instead(refused):
        await undone(desk, await book(desk, "follow-up", slot["starts_at"], therapist=slot["therapist"]))


async def test_a_room_that_was_asked_for_is_free_at_every_alternative(desk: httpx.AsyncClient, clinic: Clinic) -> None:
    kind = clinic.visit_types["follow-up"].room_kind
    room, other = [code for code, each in clinic.rooms.items() if each.kind == kind][:2]
    for start in ("10:00", "11:15"):
        assert (await book(desk, "follow-up", at(start), therapist="rivera", room=room, patient=JO)).status_code == 201
    refused = await book(desk, "follow-up", TEN, therapist="okafor", room=room)
    assert refused.json()["conflict"] == "room"
    for slot in instead(refused):
        wish = {"therapist": slot["therapist"], "room": room}
        await undone(desk, await book(desk, "follow-up", slot["starts_at"], **wish))
    assert (await book(desk, "follow-up", TEN, therapist="okafor", room=other)).status_code == 201


async def test_a_visit_is_offered_moves_that_touch_its_own_time_and_none_that_is_none(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", at("10:15"), therapist="rivera")).json()
    await book(desk, "follow-up", at("09:00"), therapist="rivera", patient=JO)
    refused = await act(desk, visit, "reschedule", starts_at=at("09:15"), therapist="rivera")
    starts = [slot["starts_at"] for slot in refused.json()["alternatives"]]
    assert at("10:15") not in starts
    assert at("10:00") in starts
    for start in starts:
        moved = await act(desk, visit, "reschedule", starts_at=start, therapist="rivera")
        assert moved.status_code == 200, moved.text
        visit = (await act(desk, moved.json(), "reschedule", starts_at=at("10:15"), therapist="rivera")).json()


async def test_by_a_private_link_a_visit_is_offered_moves_clear_of_the_patients_others(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = (await book(desk, "follow-up", at("14:00"), therapist="rivera")).json()
    await book(desk, "follow-up", TEN, therapist="rivera")
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(SlotTaken) as refused:
            await reschedule(
                connection, clinic, visit["id"], local(TEN), version=1, therapist=clinic.therapists["okafor"],
                actor=PATIENT, now=NOW,
            )  # fmt: skip
    ends = local(at("10:45"))
    length = clinic.visit_types["follow-up"].duration
    offered = [slot.starts_at for slot in refused.value.members["alternatives"]]
    assert len(offered) == 5
    assert all(start >= ends or start + length <= local(TEN) for start in offered)


async def test_a_stranger_is_not_told_where_the_patient_is_by_what_is_left_out(
    desk: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool
) -> None:
    """They met one visit; what else the patient has that day shows in nothing that they are offered."""
    await book(desk, "follow-up", TEN, therapist="rivera", patient=ASH)
    await book(desk, "follow-up", at("11:00"), therapist="rivera", patient=ASH)
    held = await hold(public, "follow-up", at("09:30"), therapist="okafor")
    await pool.execute("update occupancy set expires_at = now() - interval '1 second' where kind = 'hold'")
    refused = (await book_held(public, held)).json()
    assert (refused["code"], refused["conflict"]) == ("hold-expired", "therapist")
    offered = [slot["starts_at"] for slot in refused["alternatives"]]
    # Not what would meet the time asked for, which they know to be in vain; but what meets the patient's visits.
    assert offered == [at("08:45"), at("10:15"), at("08:30"), at("10:30"), at("08:15")]
