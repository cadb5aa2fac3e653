"""What is squeezed in over a visit or a hold takes nothing from whoever had the place already."""

from typing import Any

import httpx
import pytest
import time_machine

from scheduler.store.connections import Pool
from tests.integration.requests import DAY, JO, NOW, TEN, act, book, book_held, hold


async def squeeze(desk: httpx.AsyncClient, visit_type: str, **more: Any) -> dict[str, Any]:
    answer = await book(desk, visit_type, TEN, patient=JO, overbook={"reason": "in pain"}, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(("visit_type", "therapist"), [("follow-up", "rivera"), ("eval-run", "okafor")])
async def test_a_hold_is_booked_though_somebody_was_squeezed_in(
    visit_type: str, therapist: str, desk: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    with time_machine.travel(NOW, tick=True):
        held = await hold(public, visit_type, TEN, therapist="rivera")
        # At the same therapist, or with the one treadmill that the hold keeps.
        await squeeze(desk, visit_type, therapist=therapist)
        assert (await book_held(public, held)).status_code == 201


async def test_a_hold_that_ran_out_makes_way_for_who_was_squeezed_in(
    desk: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool
) -> None:
    with time_machine.travel(NOW, tick=True):
        held = await hold(public, "follow-up", TEN, therapist="rivera")
        await squeeze(desk, "follow-up", therapist="rivera")
        await pool.execute("update occupancy set expires_at = now() - interval '1 second' where kind = 'hold'")
        late = await book_held(public, held)
    assert (late.status_code, late.json()["code"]) == (409, "hold-expired")


@pytest.mark.parametrize(("first", "then"), [("arrive", "complete"), (None, "no-show"), (None, "cancel")])
async def test_a_slip_is_undone_though_somebody_was_squeezed_in_before(
    first: str | None, then: str, desk: httpx.AsyncClient
) -> None:
    with time_machine.travel(f"{DAY}T09:50:00-05:00", tick=True) as clock:
        visit = (await book(desk, "follow-up", TEN, therapist="rivera")).json()
        await squeeze(desk, "follow-up", therapist="rivera")
        clock.shift(20 * 60)
        if first:
            visit = (await act(desk, visit, first)).json()
        said = {"reason": "by mistake"} if then == "cancel" else {}
        slip = (await act(desk, visit, then, **said)).json()
        undone = await act(desk, slip, "undo")
        assert undone.status_code == 200, undone.text
        assert undone.json()["status"] == visit["status"]


async def test_a_slip_is_not_undone_where_somebody_was_squeezed_in_since(desk: httpx.AsyncClient) -> None:
    with time_machine.travel(NOW, tick=True):
        visit = (await book(desk, "follow-up", TEN, therapist="rivera")).json()
        slip = (await act(desk, visit, "cancel", reason="by mistake")).json()
        await squeeze(desk, "follow-up", therapist="rivera")
        undone = await act(desk, slip, "undo")
    assert (undone.status_code, undone.json()["code"]) == (409, "slot-taken")
