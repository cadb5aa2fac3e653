"""Booking over the API: hold, book, move, cancel, and the day at the desk."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, JO, act, book, book_held, first_slot, hold, messages_of

# A Tuesday; the tests' own "now" is the Monday two weeks before.
DAY = "2026-12-08"
TEN = f"{DAY}T10:00:00-05:00"
NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
# Every change of a visit, with the body that it needs.
CHANGES: dict[str, dict[str, Any] | None] = {
    "reschedule": {"starts_at": f"{DAY}T13:00:00-05:00"},
    "cancel": {"reason": "asked by phone"},
    **dict.fromkeys(("confirm", "arrive", "complete", "no-show", "undo")),
}


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


async def occupied(pool: Pool, visit_id: str) -> int:
    return await pool.fetchval("select count(*) from occupancy where visit_id = $1", visit_id)


async def test_a_patient_holds_a_slot_and_books_it(public: httpx.AsyncClient, pool: Pool) -> None:
    slot = await first_slot(public, "eval-run", DAY)
    held = await hold(public, "eval-run", slot["starts_at"])
    assert held["starts_at"] == slot["starts_at"]
    response = await book_held(public, held)
    assert response.status_code == 201, response.text
    visit = response.json()
    assert response.headers["etag"] == '"1"'
    assert response.headers["location"] == f"/api/v1/visits/{visit['id']}"
    assert (visit["status"], visit["starts_at"], visit["therapist"], visit["room"]) == (
        "booked",
        slot["starts_at"],
        held["therapist"],
        held["room"],
    )
    assert visit["equipment"] == ["treadmill-1"]
    assert visit["patient"]["display_name"] == "Ash S."
    # The therapist, the room, the treadmill and the patient.
    assert await occupied(pool, visit["id"]) == 4


async def test_a_held_slot_is_not_offered_to_anybody_else(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    again = await public.post(
        "/api/v1/holds", json={"visit_type": "eval-run", "starts_at": TEN, "therapist": held["therapist"]}
    )
    assert again.status_code == 409
    assert again.json()["code"] == "slot-taken"
    alternatives = again.json()["alternatives"]
    assert 1 <= len(alternatives) <= 5
    assert TEN not in [slot["starts_at"] for slot in alternatives]
    assert {slot["therapist"] for slot in alternatives} == {held["therapist"]}


async def test_every_alternative_that_is_offered_can_be_had(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    refused = await public.post(
        "/api/v1/holds", json={"visit_type": "eval-run", "starts_at": TEN, "therapist": held["therapist"]}
    )
    for slot in refused.json()["alternatives"]:
        had = await hold(public, "eval-run", slot["starts_at"], therapist=slot["therapist"])
        released = await public.delete(f"/api/v1/holds/{had['id']}", headers={"Hold-Token": had["token"]})
        assert released.status_code == 204


async def test_a_released_hold_frees_its_slot_at_once(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    response = await public.delete(f"/api/v1/holds/{held['id']}", headers={"Hold-Token": held["token"]})
    assert response.status_code == 204
    assert await occupied(pool, held["id"]) == 0
    await hold(public, "eval-run", TEN, therapist=held["therapist"])


async def test_a_hold_answers_only_to_its_token(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    for token in ("wrong", held["token"][:-1]):
        forged = await book_held(public, {**held, "token": token})
        assert (forged.status_code, forged.json()["code"]) == (404, "hold-not-found")
    unknown = await book_held(public, {**held, "id": "01a206f9-fd71-7771-a54c-6c959606910c"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "hold-not-found")


async def test_a_hold_can_be_extended_ten_times(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    headers = {"Hold-Token": held["token"]}
    for _ in range(10):
        extended = await public.post(f"/api/v1/holds/{held['id']}/extend", headers=headers)
        assert extended.status_code == 200, extended.text
        assert "token" not in extended.json()
    refused = await public.post(f"/api/v1/holds/{held['id']}/extend", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong-status")


async def let_run_out(pool: Pool, held: dict[str, Any]) -> None:
    await pool.execute("update occupancy set expires_at = now() - interval '1 second' where visit_id = $1", held["id"])


async def test_a_hold_that_ran_out_makes_way(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    await let_run_out(pool, held)
    taken = await hold(public, "eval-run", TEN, therapist=held["therapist"])
    late = await book_held(public, held)
    assert (late.status_code, late.json()["code"]) == (409, "hold-expired")
    assert late.json()["alternatives"]
    assert (await book_held(public, taken, JO)).status_code == 201


async def test_a_hold_that_ran_out_is_booked_while_its_time_is_still_free(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    held = await hold(public, "eval-run", TEN)
    await let_run_out(pool, held)
    response = await book_held(public, held)
    assert response.status_code == 201, response.text
    assert response.json()["starts_at"] == TEN


async def test_the_same_hold_booked_twice_is_one_visit(public: httpx.AsyncClient, pool: Pool) -> None:
    held = await hold(public, "eval-run", TEN)
    first, second = await book_held(public, held), await book_held(public, held)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 1
    assert (await book_held(public, held, JO)).status_code == 404


async def test_the_desk_books_directly_and_past_the_limits_of_patients(desk: httpx.AsyncClient) -> None:
    soon = (NOW + timedelta(minutes=30)).isoformat()
    response = await book(desk, "follow-up", soon)
    assert response.status_code == 201, response.text
    assert response.json()["created_by"] == "key:front desk"


async def test_without_a_therapist_the_least_loaded_one_treats(desk: httpx.AsyncClient) -> None:
    first = (await book(desk, "follow-up", TEN)).json()
    second = (await book(desk, "follow-up", TEN, patient=JO)).json()
    assert first["therapist"] != second["therapist"]
    later = (await book(desk, "follow-up", f"{DAY}T13:00:00-05:00")).json()
    assert later["therapist"] not in {first["therapist"], second["therapist"]}


async def test_a_patient_cannot_be_in_two_places(desk: httpx.AsyncClient) -> None:
    assert (await book(desk, "follow-up", TEN)).status_code == 201
    twice = await book(desk, "follow-up", f"{DAY}T10:15:00-05:00")
    assert (twice.status_code, twice.json()["conflict"]) == (409, "patient")


async def test_one_treadmill_serves_one_runner_at_a_time(desk: httpx.AsyncClient) -> None:
    assert (await book(desk, "eval-run", TEN)).status_code == 201
    second = await book(desk, "eval-run", TEN, patient=JO)
    assert (second.status_code, second.json()["conflict"]) == (409, "equipment")


@pytest.mark.parametrize(
    ("visit_type", "starts_at", "therapist", "code"),
    [
        ("eval-run", "2026-11-23T10:15:00-05:00", None, "too-soon"),
        ("eval-run", "2027-09-07T10:00:00-04:00", None, "too-far-ahead"),
        ("eval-run", f"{DAY}T03:00:00-05:00", None, "outside-hours"),
        ("eval-run", f"{DAY}T10:07:00-05:00", None, "outside-hours"),
        ("eval-run", "2026-12-25T10:00:00-05:00", None, "outside-hours"),
    ],
)
async def test_a_patients_wish_outside_the_rules_is_refused_with_the_reason(
    public: httpx.AsyncClient, visit_type: str, starts_at: str, therapist: str | None, code: str
) -> None:
    response = await public.post(
        "/api/v1/holds", json={"visit_type": visit_type, "starts_at": starts_at, "therapist": therapist}
    )
    assert (response.status_code, response.json()["code"]) == (409, code)
    assert response.json()["alternatives"]


async def test_a_therapist_without_the_credential_is_refused(desk: httpx.AsyncClient, clinic: Clinic) -> None:
    assistant = next(one.code for one in clinic.therapists.values() if one.credential == "PTA")
    response = await book(desk, "eval-run", TEN, therapist=assistant)
    assert (response.status_code, response.json()["code"]) == (409, "not-qualified")


async def test_moving_keeps_the_old_slot_when_the_new_one_is_refused(desk: httpx.AsyncClient, pool: Pool) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    await book(desk, "eval-run", f"{DAY}T13:00:00-05:00", patient=JO)
    refused = await act(desk, mine, "reschedule", starts_at=f"{DAY}T13:00:00-05:00")
    assert (refused.status_code, refused.json()["code"]) == (409, "slot-taken")
    assert (await desk.get(f"/api/v1/visits/{mine['id']}")).json()["starts_at"] == TEN
    assert await occupied(pool, mine["id"]) == 4


async def test_a_visit_moves_onto_a_time_that_overlaps_its_own(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    moved = await act(desk, mine, "reschedule", starts_at=f"{DAY}T10:15:00-05:00")
    assert moved.status_code == 200, moved.text
    assert (moved.json()["id"], moved.json()["version"]) == (mine["id"], 2)
    assert moved.headers["etag"] == '"2"'
    taken = await book(desk, "eval-run", TEN, patient=JO)
    assert taken.status_code == 409


async def test_moving_voids_the_old_reminders_and_plans_new_ones(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "follow-up", TEN)).json()
    assert [reminder["template"] for reminder in mine["reminders"]] == ["reminder_72h", "reminder_24h"]
    moved = (await act(desk, mine, "reschedule", starts_at="2026-12-10T10:00:00-05:00")).json()
    assert {reminder["due_at"][:10] for reminder in moved["reminders"]} == {"2026-12-07", "2026-12-09"}
    states = {(message["template"], message["state"]) for message in await messages_of(desk, mine)}
    assert ("reminder_72h", "cancelled") in states
    assert ("reminder_24h", "cancelled") in states
    assert ("rescheduled", "pending") in states


async def test_a_visit_moved_away_and_back_is_reminded_of_once(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "follow-up", TEN)).json()
    away = (await act(desk, mine, "reschedule", starts_at="2026-12-10T10:00:00-05:00")).json()
    back = (await act(desk, away, "reschedule", starts_at=TEN)).json()
    assert [(one["template"], one["due_at"], one["state"]) for one in back["reminders"]] == [
        ("reminder_72h", "2026-12-05T10:00:00-05:00", "pending"),
        ("reminder_24h", "2026-12-07T10:00:00-05:00", "pending"),
    ]


async def test_cancelling_frees_the_slot_and_voids_every_reminder(desk: httpx.AsyncClient, pool: Pool) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = await act(desk, mine, "cancel", reason="asked by phone")
    assert cancelled.status_code == 200, cancelled.text
    assert (cancelled.json()["status"], cancelled.json()["reminders"]) == ("cancelled", [])
    assert await occupied(pool, mine["id"]) == 0
    pending = {one["template"] for one in await messages_of(desk, mine) if one["state"] == "pending"}
    assert pending == {"cancelled_by_patient"}
    assert (await book(desk, "eval-run", TEN, patient=JO)).status_code == 201


async def test_a_cancellation_is_undone_while_the_slot_is_free(desk: httpx.AsyncClient, pool: Pool) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = (await act(desk, mine, "cancel", reason="slip")).json()
    back = await act(desk, cancelled, "undo")
    assert back.status_code == 200, back.text
    assert (back.json()["status"], await occupied(pool, mine["id"])) == ("booked", 4)
    assert len(back.json()["reminders"]) == len(mine["reminders"])


async def test_a_cancellation_is_not_undone_over_somebody_elses_visit(desk: httpx.AsyncClient) -> None:
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = (await act(desk, mine, "cancel", reason="slip")).json()
    assert (await book(desk, "eval-run", TEN, patient=JO)).status_code == 201
    refused = await act(desk, cancelled, "undo")
    assert (refused.status_code, refused.json()["code"]) == (409, "slot-taken")


async def test_a_day_at_the_desk(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    confirmed = await act(desk, visit, "confirm")
    assert confirmed.json()["status"] == "confirmed"
    early = await act(desk, confirmed.json(), "no-show")
    assert (early.status_code, early.json()["code"]) == (409, "wrong-status")
    too_early = await act(desk, confirmed.json(), "arrive")
    assert (too_early.status_code, too_early.json()["visit_status"]) == (409, "confirmed")
    with time_machine.travel(f"{DAY}T09:00:00-05:00", tick=True):
        arrived = await act(desk, confirmed.json(), "arrive")
    assert arrived.json()["status"] == "arrived", arrived.text
    assert arrived.json()["reminders"] == []
    over = await act(desk, arrived.json(), "complete")
    assert over.json()["status"] == "completed"
    late = await act(desk, over.json(), "cancel", reason="too late")
    assert (late.status_code, late.json()["code"], late.json()["allowed"]) == (409, "wrong-status", [])


async def test_a_change_needs_the_version_that_was_seen(desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    for action, body in CHANGES.items():
        blind = await desk.post(f"/api/v1/visits/{visit['id']}/{action}", json=body)
        assert (blind.status_code, blind.json()["code"], blind.json()["etag"]) == (428, "version-required", '"1"')
        assert blind.headers["ETag"] == '"1"'
        stale = await act(desk, visit | {"version": 7}, action, **body or {})
        assert (stale.status_code, stale.json()["code"], stale.json()["etag"]) == (412, "version-mismatch", '"1"')
        assert stale.headers["ETag"] == '"1"'
        nowhere = await desk.post(f"/api/v1/visits/{UUID(int=7)}/{action}", json=body)
        assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not-found")
    await act(desk, visit, "confirm")
    stale = await act(desk, visit, "cancel", reason="stale")
    assert (stale.status_code, stale.json()["code"], stale.json()["etag"]) == (412, "version-mismatch", '"2"')


async def test_staff_may_overbook_with_a_reason_and_a_trace(desk: httpx.AsyncClient, pool: Pool) -> None:
    first = (await book(desk, "follow-up", TEN)).json()
    refused = await book(desk, "follow-up", TEN, patient=JO, therapist=first["therapist"])
    assert refused.status_code == 409
    squeezed = await book(
        desk, "follow-up", TEN, patient=JO, therapist=first["therapist"], overbook={"reason": "twins come together"}
    )
    assert squeezed.status_code == 201, squeezed.text
    assert squeezed.json()["overbook_reason"] == "twins come together"
    details = await pool.fetchval(
        "select details from audit_events where visit_id = $1 and action = 'visit.booked'", squeezed.json()["id"]
    )
    assert details["overbook_reason"] == "twins come together"


async def test_a_stranger_who_knows_a_name_and_a_number_cannot_redirect_mail(
    public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    await book(desk, "follow-up", TEN)
    held = await hold(public, "follow-up", f"{DAY}T13:00:00-05:00")
    response = await book_held(public, held, {**ASH, "email": "mallory@example.com"})
    assert response.status_code == 201
    assert await pool.fetch("select email from patients") == [("ash@example.com",)]


async def test_every_change_leaves_its_trace(desk: httpx.AsyncClient, pool: Pool) -> None:
    visit = (await book(desk, "follow-up", TEN)).json()
    moved = (await act(desk, visit, "reschedule", starts_at="2026-12-10T10:00:00-05:00")).json()
    await act(desk, moved, "cancel", reason="asked by phone")
    rows = await pool.fetch("select action, actor from audit_events where visit_id = $1 order by id", visit["id"])
    assert [tuple(row) for row in rows] == [
        ("visit.booked", "key:front desk"),
        ("visit.rescheduled", "key:front desk"),
        ("visit.cancelled", "key:front desk"),
    ]


async def test_visits_are_listed_page_by_page_in_order(desk: httpx.AsyncClient) -> None:
    starts = [f"{DAY}T{hour:02}:00:00-05:00" for hour in (9, 10, 11, 13, 14)]
    for start in reversed(starts):
        assert (await book(desk, "follow-up", start)).status_code == 201
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"from": DAY, "to": "2026-12-09", "limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await desk.get("/api/v1/visits", params=params)).json()
        seen += [item["starts_at"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == starts


async def test_a_hold_that_ran_out_gives_no_way_around_notice_or_into_the_past(
    public: httpx.AsyncClient, pool: Pool
) -> None:
    held = await hold(public, "eval-run", TEN)
    await let_run_out(pool, held)
    for moment in (f"{DAY}T09:55:00-05:00", "2026-12-10T10:00:00-05:00"):
        with time_machine.travel(moment, tick=True):
            late = await book_held(public, held)
        assert (late.status_code, late.json()["code"]) == (409, "too-soon")
    assert await pool.fetchval("select count(*) from visits where status = 'booked'") == 0


async def test_an_undone_visit_is_where_the_calendar_says_it_is(desk: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute(
        """insert into equipment (clinic_id, id, code, display_name, kind, position)
        select clinic_id, gen_random_uuid(), 'treadmill-2', 'Second', kind, 2 from equipment"""
    )
    mine = (await book(desk, "eval-run", TEN)).json()
    cancelled = (await act(desk, mine, "cancel", reason="slip")).json()
    other = next(code for code in ("rivera", "okafor") if code != mine["therapist"])
    theirs = (await book(desk, "eval-run", TEN, patient=JO, therapist=other)).json()
    back = (await act(desk, cancelled, "undo")).json()
    assert back["status"] == "booked", back
    for visit in (theirs, back):
        taken = {row["resource_id"] for row in await pool.fetch(
            "select resource_id from occupancy where visit_id = $1", visit["id"]
        )}  # fmt: skip
        row = await pool.fetchrow("select room_id, equipment_ids, therapist_id from visits where id = $1", visit["id"])
        assert row is not None
        assert {row["room_id"], row["therapist_id"], *row["equipment_ids"]} < taken


async def test_a_therapist_who_lost_the_visit_type_is_not_booked_for_it_a_moment_later(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    await pool.execute("delete from therapist_visit_types where visit_type = 'eval-run'")
    slots = await desk.get("/api/v1/slots", params={"visit_type": "eval-run", "from": DAY, "to": "2026-12-09"})
    assert slots.json()["items"] == []
    refused = await book(desk, "eval-run", TEN, therapist="rivera")
    assert (refused.status_code, refused.json()["code"]) == (409, "not-qualified")


async def test_a_therapist_who_is_not_known_here_yet_is_no_trouble(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await pool.execute(
        """insert into therapists (clinic_id, id, code, display_name, credential, languages, position)
        values ($1, gen_random_uuid(), 'new', 'New', 'PT', '{}', 0)""",
        clinic.id,
    )
    assert (await book(desk, "follow-up", TEN)).status_code == 201


async def test_the_desk_keeps_a_patients_language_where_it_says_nothing(desk: httpx.AsyncClient) -> None:
    first = (await book(desk, "follow-up", TEN, patient=ASH | {"language": "es"})).json()
    second = (await book(desk, "follow-up", f"{DAY}T13:00:00-05:00")).json()
    assert (first["language"], second["language"]) == ("es", "es")


async def test_a_form_does_not_bring_back_texts_that_somebody_stopped(
    public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    stopped = ASH | {"sms_consent": {"granted": False, "wording_version": "2026-11"}}
    await book(desk, "follow-up", TEN)
    await book(desk, "follow-up", f"{DAY}T13:00:00-05:00", patient=stopped)
    held = await hold(public, "eval-run", "2026-12-10T10:00:00-05:00")
    assert (await book_held(public, held)).status_code == 201
    said = [row["granted"] for row in await pool.fetch("select granted from consents order by recorded_at")]
    assert said == [True, False]


async def test_a_form_does_not_tell_where_somebody_is(public: httpx.AsyncClient, desk: httpx.AsyncClient) -> None:
    await book(desk, "follow-up", TEN)
    held = await hold(public, "eval-run", TEN)
    refused = await book_held(public, held)
    assert (refused.status_code, refused.json()["conflict"]) == (409, "therapist")


async def test_a_room_that_does_not_fit_is_refused_by_name(desk: httpx.AsyncClient, clinic: Clinic) -> None:
    wrong = next(room.code for room in clinic.rooms.values() if room.kind != clinic.visit_types["eval-run"].room_kind)
    response = await book(desk, "eval-run", TEN, room=wrong)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "room-unfit")


async def test_a_query_that_begins_within_a_minute_begins_with_the_next(public: httpx.AsyncClient) -> None:
    async def starts(first: str, last: str) -> list[str]:
        params = {
            "visit_type": "eval-run",
            "therapist": "rivera",
            "from": f"{DAY}T{first}-05:00",
            "to": f"{DAY}T{last}-05:00",
        }
        return [one["starts_at"][11:16] for one in (await public.get("/api/v1/slots", params=params)).json()["items"]]

    assert await starts("10:00:00", "11:15:00") == ["10:00", "10:15"]
    assert await starts("10:00:01", "11:15:00") == ["10:15"]
    assert await starts("10:00:00", "11:14:59") == ["10:00"]
