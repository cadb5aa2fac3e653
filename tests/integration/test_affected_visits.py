"""What becomes of booked visits when the schedule changes under them: each is reported with a way out, none is lost."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.times import epoch_minute
from scheduler.services.time_off import add_time_off
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, DAY, NOW, act, book, book_held, hold

pytestmark = pytest.mark.usefixtures("monday")

# On the Tuesday of these tests Rivera works 08:00 to 12:00 and 12:45 to 17:00, Okafor, Lind and Marsh a part of that.
NEXT_DAY = "2026-12-09"
DESK = Actor(name="key:front desk", staff=True)


def at(clock: str, day: str = DAY) -> str:
    return f"{day}T{clock}:00-05:00"


def someone(number: int) -> dict[str, Any]:
    return {**ASH, "given_name": f"Ash {number}", "phone": f"201 555 01{number:02}"}


async def booked(desk: httpx.AsyncClient, number: int, starts_at: str, **more: Any) -> dict[str, Any]:
    visit_type = more.pop("visit_type", "follow-up")
    body = {"therapist": "rivera", "patient": someone(number), **more}
    response = await book(desk, visit_type, starts_at, **body)
    assert response.status_code == 201, response.text
    return response.json()


async def away(desk: httpx.AsyncClient, starts: str, ends: str, **params: Any) -> dict[str, Any]:
    response = await desk.post("/api/v1/therapists/rivera/time-off", json={"from": starts, "to": ends}, params=params)
    assert response.status_code in (200, 201), response.text
    return response.json()


def ids(answer: dict[str, Any]) -> list[str]:
    return [visit["id"] for visit in answer["affected_visits"]]


async def test_everybody_inside_time_off_can_follow_their_first_alternative(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    visits = [
        await booked(desk, 1, at("13:00")),
        await booked(desk, 2, at("14:00"), visit_type="eval-run"),
        await booked(desk, 3, at("15:30")),
    ]
    added = await away(desk, at("13:00"), at("17:00"))
    assert ids(added) == [visit["id"] for visit in visits]
    for affected, visit in zip(added["affected_visits"], visits, strict=True):
        assert {name: affected[name] for name in affected if name != "alternatives"} == {
            name: visit[name] for name in affected if name != "alternatives"
        }
        assert 1 <= len(affected["alternatives"]) <= 5
        slot = affected["alternatives"][0]
        moved = await act(desk, affected, "reschedule", starts_at=slot["starts_at"], therapist=slot["therapist"])
        assert moved.status_code == 200, moved.text
    again = await desk.get(f"/api/v1/therapists/rivera/time-off/{added['id']}")
    assert again.json() == {**added, "affected_visits": []}
    rehearsed = await away(desk, at("13:00"), at("17:00"), dry_run=True)
    assert rehearsed["affected_visits"] == []
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 3


async def test_every_alternative_can_be_had_and_the_own_therapist_comes_first(desk: httpx.AsyncClient) -> None:
    visit = await booked(desk, 1, at("10:00"))
    (affected,) = (await away(desk, DAY, NEXT_DAY))["affected_visits"]
    slots = affected["alternatives"]
    therapists = [slot["therapist"] for slot in slots]
    assert therapists[:3] == ["rivera"] * 3
    assert "rivera" not in therapists[3:]
    assert len(therapists) == 5
    # Somebody else has the very same time, and the own therapist the nearest quarter hour of the day before.
    assert slots[3]["starts_at"] == visit["starts_at"]
    assert slots[0]["starts_at"] == at("16:15", "2026-12-07")
    for slot in slots:
        moved = await act(desk, visit, "reschedule", starts_at=slot["starts_at"], therapist=slot["therapist"])
        assert moved.status_code == 200, moved.text
        visit = moved.json()


async def test_a_visit_may_move_onto_a_part_of_its_own_time(desk: httpx.AsyncClient) -> None:
    await booked(desk, 1, at("11:15"))
    await booked(desk, 2, at("08:00"), visit_type="eval")
    added = await away(desk, at("11:45"), NEXT_DAY)
    (affected,) = added["affected_visits"]
    assert affected["alternatives"][0] == {
        "starts_at": at("11:00"),
        "ends_at": at("11:45"),
        "therapist": "rivera",
    }


async def test_the_one_treadmill_of_the_visit_itself_does_not_stand_in_its_way(desk: httpx.AsyncClient) -> None:
    visit = await booked(desk, 1, at("09:00"), visit_type="eval-run")
    assert visit["equipment"] == ["treadmill-1"]
    (affected,) = (await away(desk, DAY, NEXT_DAY))["affected_visits"]
    with_others = [slot for slot in affected["alternatives"] if slot["therapist"] != "rivera"]
    assert with_others[0] == {"starts_at": at("09:00"), "ends_at": at("10:00"), "therapist": "okafor"}


async def test_alternatives_keep_clear_of_the_patients_other_visits(desk: httpx.AsyncClient) -> None:
    await booked(desk, 1, at("10:00"))
    await booked(desk, 1, at("16:15", "2026-12-07"), therapist="lind")
    (affected,) = (await away(desk, DAY, NEXT_DAY))["affected_visits"]
    starts = {slot["starts_at"] for slot in affected["alternatives"]}
    assert not starts & {at(clock, "2026-12-07") for clock in ("15:45", "16:00", "16:15", "16:30", "16:45")}


async def test_two_visits_of_one_patient_are_not_sent_to_the_same_time(desk: httpx.AsyncClient) -> None:
    await booked(desk, 1, at("10:00"))
    await booked(desk, 1, at("10:45"))
    added = await away(desk, DAY, NEXT_DAY)
    for affected in added["affected_visits"]:
        slot = affected["alternatives"][0]
        moved = await act(desk, affected, "reschedule", starts_at=slot["starts_at"], therapist=slot["therapist"])
        assert moved.status_code == 200, moved.text


async def test_a_therapist_who_is_away_for_weeks_can_be_waited_for(desk: httpx.AsyncClient) -> None:
    await booked(desk, 1, at("10:00"))
    (affected,) = (await away(desk, "2026-11-30", "2026-12-21"))["affected_visits"]
    own = [slot["starts_at"] for slot in affected["alternatives"] if slot["therapist"] == "rivera"]
    assert own[0] == at("08:00", "2026-12-21")


async def test_a_visit_that_only_touches_is_not_affected_and_one_that_reaches_in_is(desk: httpx.AsyncClient) -> None:
    await booked(desk, 1, at("09:00"))
    reaching = await booked(desk, 2, at("10:00"))
    await booked(desk, 3, at("11:15"))
    assert ids(await away(desk, at("10:44"), at("11:15"))) == [reaching["id"]]
    assert ids(await away(desk, at("09:45"), at("10:00"), dry_run=True)) == []


async def test_visits_that_are_over_cancelled_or_with_others_are_not_affected(desk: httpx.AsyncClient) -> None:
    cancelled = await booked(desk, 1, at("10:00"))
    assert (await act(desk, cancelled, "cancel", reason="Ill")).status_code == 200
    await booked(desk, 2, at("11:00"), therapist="okafor")
    coming = await booked(desk, 3, at("13:00"))
    with time_machine.travel(at("13:10"), tick=True):
        arrived = (await act(desk, coming, "arrive")).json()
        answer = await away(desk, DAY, NEXT_DAY)
        assert [(visit["id"], visit["status"]) for visit in answer["affected_visits"]] == [(arrived["id"], "arrived")]
        # Whoever is here already cannot be moved.
        assert answer["affected_visits"][0]["alternatives"] == []
    with time_machine.travel(at("14:00"), tick=True):
        assert (await away(desk, DAY, NEXT_DAY))["affected_visits"] == []


async def test_new_hours_affect_only_what_the_old_ones_covered(desk: httpx.AsyncClient) -> None:
    covered = await booked(desk, 1, at("16:00"))
    kept = await booked(desk, 2, at("09:00"))
    squeezed = await booked(desk, 3, at("18:30"), overbook={"reason": "Sees her friend"})
    later = await booked(desk, 4, at("16:00", "2027-03-09"))
    mornings = {"windows": [{"weekday": "tuesday", "from": "08:00", "to": "12:00"}]}
    answer = (await desk.put("/api/v1/therapists/rivera/hours", json=mornings)).json()
    assert ids(answer) == [covered["id"], later["id"]]
    for affected in answer["affected_visits"]:
        assert {slot["therapist"] for slot in affected["alternatives"]} & {"rivera"}
        assert all(
            datetime.fromisoformat(slot["starts_at"]).hour < 12
            for slot in affected["alternatives"]
            if slot["therapist"] == "rivera"
        )
    assert {kept["id"], squeezed["id"]}.isdisjoint(ids(answer))
    # Nobody is told again by the next change, for the visit lies outside the hours already.
    assert ids((await desk.put("/api/v1/therapists/rivera/hours", json=mornings)).json()) == []


async def test_an_override_affects_its_date_and_what_ran_past_its_midnight(desk: httpx.AsyncClient) -> None:
    night = {"windows": [{"from": "20:00", "to": "02:00", "ends_next_day": True}]}
    assert (await desk.put(f"/api/v1/therapists/rivera/overrides/{DAY}", json=night)).status_code == 200
    late = await booked(desk, 1, at("23:30"))
    after_midnight = await booked(desk, 2, at("01:00", NEXT_DAY))
    await booked(desk, 3, at("09:00", NEXT_DAY))
    off = await desk.put(f"/api/v1/therapists/rivera/overrides/{DAY}", json={}, params={"dry_run": True})
    assert ids(off.json()) == [late["id"], after_midnight["id"]]
    removed = await desk.delete(f"/api/v1/therapists/rivera/overrides/{DAY}")
    assert ids(removed.json()) == [late["id"], after_midnight["id"]]


async def test_a_closure_affects_every_therapist(desk: httpx.AsyncClient) -> None:
    morning = await booked(desk, 1, at("09:00"))
    afternoon = await booked(desk, 2, at("13:00"))
    evening = await booked(desk, 3, at("18:00"), therapist="lind")
    half = await desk.put(f"/api/v1/closures/{DAY}", json={"windows": [{"from": "07:00", "to": "13:30"}]})
    assert ids(half.json()) == [afternoon["id"], evening["id"]]
    for affected in half.json()["affected_visits"]:
        assert all(
            slot["starts_at"] <= at("12:45") or slot["starts_at"] > NEXT_DAY for slot in affected["alternatives"]
        )
    whole = await desk.put(f"/api/v1/closures/{DAY}", json={"reason": "Snow"})
    assert ids(whole.json()) == [morning["id"], afternoon["id"], evening["id"]]
    assert ids((await desk.get(f"/api/v1/closures/{DAY}")).json()) == ids(whole.json())
    reopened = await desk.delete(f"/api/v1/closures/{DAY}")
    assert reopened.json() == {"affected_visits": []}


async def test_forty_affected_visits_take_few_statements(desk: httpx.AsyncClient, pool: Pool, clinic: Clinic) -> None:
    days = [f"2026-12-{day:02}" for day in (7, 8, 9, 10, 14, 15, 16, 17)]
    for number, (day, clock) in enumerate(
        (day, clock) for day in days for clock in ("08:00", "09:00", "10:00", "11:00", "14:00")
    ):
        await booked(desk, number, at(clock, day), visit_type="follow-up" if number % 2 else "gait")
    asked: list[str] = []
    async with pool.acquire() as connection, connection.transaction():
        with connection.query_logger(lambda query: asked.append(query.query)):
            _, affected = await add_time_off(
                connection, clinic, clinic.therapists["rivera"],
                _span(at("00:00", days[0]), at("00:00", "2026-12-18")),
                reason="", actor=DESK, now=NOW,
            )  # fmt: skip
    assert len(affected) == 40
    assert all(each.alternatives for each in affected)
    # The driver's own questions about a connection that is new to it are not ours.
    ours = [query for query in asked if "pg_catalog" not in query and "set_config" not in query]
    assert len(ours) <= 16, ours
    assert len({(each.alternatives[0].starts_at, each.alternatives[0].therapist) for each in affected}) == 40


async def test_a_hold_inside_the_change_is_refused_when_it_is_booked(
    desk: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    held = await hold(public, "follow-up", at("10:00"), therapist="rivera")
    assert (await away(desk, DAY, NEXT_DAY))["affected_visits"] == []
    refused = await book_held(public, held)
    assert (refused.status_code, refused.json()["code"]) == (409, "outside-hours")
    assert refused.json()["alternatives"]


async def test_a_booking_that_came_first_is_waited_for_and_reported(desk: httpx.AsyncClient, pool: Pool) -> None:
    async with pool.acquire() as connection:
        async with connection.transaction():
            # The booking has looked and found its place, and cannot write yet.
            await connection.execute("lock table visits in share mode")
            booking = asyncio.create_task(booked(desk, 1, at("10:00")))
            await asyncio.sleep(0.2)
            going = asyncio.create_task(away(desk, DAY, NEXT_DAY))
            await asyncio.sleep(0.2)
            assert not booking.done()
            assert not going.done()
        assert ids(await going) == [(await booking)["id"]]


async def test_a_booking_that_comes_second_is_judged_by_the_new_schedule(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    async with pool.acquire() as connection:
        async with connection.transaction():
            _, affected = await add_time_off(
                connection, clinic, clinic.therapists["rivera"], _span(at("00:00"), at("00:00", NEXT_DAY)), reason="",
                actor=DESK, now=NOW,
            )  # fmt: skip
            assert affected == []
            booking = asyncio.create_task(book(desk, "follow-up", at("10:00"), therapist="rivera"))
            await asyncio.sleep(0.2)
            assert not booking.done()
        refused = await booking
    assert (refused.status_code, refused.json()["code"]) == (409, "outside-hours")
    assert refused.json()["alternatives"]


async def test_whoever_books_while_the_schedule_changes_is_reported_or_refused(desk: httpx.AsyncClient) -> None:
    async def change(day: str, pause: float) -> dict[str, Any]:
        await asyncio.sleep(pause)
        return await away(desk, at("09:00", day), at("12:00", day))

    for number in range(16):
        # Rivera's Tuesdays of this winter; the change begins a little later each time.
        day = (NOW + timedelta(days=8 + 7 * number)).date().isoformat()
        booking = book(desk, "follow-up", at("10:00", day), therapist="rivera", patient=someone(number))
        response, answer = await asyncio.gather(booking, change(day, number * 0.002))
        if response.status_code == 201:
            assert ids(answer) == [response.json()["id"]]
        else:
            assert response.json()["code"] == "outside-hours"
            assert ids(answer) == []


async def test_that_patients_were_shown_is_written_down_a_dry_run_too(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = await booked(desk, 1, at("10:00"))
    await away(desk, DAY, NEXT_DAY, dry_run=True)
    rows = await pool.fetch("select actor, details from audit_events where action = 'visits.affected_listed'")
    assert [(row["actor"], row["details"]["patients"]) for row in rows] == [
        ("key:front desk", [visit["patient"]["id"]])
    ]


def _span(starts: str, ends: str) -> tuple[int, int]:
    return epoch_minute(datetime.fromisoformat(starts)), epoch_minute(datetime.fromisoformat(ends))
