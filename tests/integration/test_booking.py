"""Booking over the API: who may, for whom, with whom and where."""

from datetime import timedelta

import httpx
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.store.connections import Pool
from tests.integration.requests import ASH, DAY, JO, NOW, TEN, book, book_held, hold

pytestmark = pytest.mark.usefixtures("monday")


async def test_every_alternative_that_is_offered_can_be_had(public: httpx.AsyncClient) -> None:
    held = await hold(public, "eval-run", TEN)
    refused = await public.post(
        "/api/v1/holds", json={"visit_type": "eval-run", "starts_at": TEN, "therapist": held["therapist"]}
    )
    for slot in refused.json()["alternatives"]:
        had = await hold(public, "eval-run", slot["starts_at"], therapist=slot["therapist"])
        released = await public.delete(f"/api/v1/holds/{had['id']}", headers={"Hold-Token": had["token"]})
        assert released.status_code == 204


async def test_the_desk_books_directly_and_past_the_limits_of_patients(desk: httpx.AsyncClient) -> None:
    soon = (NOW + timedelta(minutes=30)).isoformat()
    response = await book(desk, "follow-up", soon)
    assert response.status_code == 201, response.text
    assert response.json()["created_by"] == "key:front desk"


async def test_what_a_booking_is_answered_with_is_what_is_read_afterwards(
    desk: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    booked = (await book(desk, "follow-up", TEN)).json()
    assert booked["reminders"]
    assert (await desk.get(f"/api/v1/visits/{booked['id']}")).json() == booked
    # The public is told less than the desk, but of the same visit.
    held = await book_held(public, await hold(public, "follow-up", f"{DAY}T13:00:00-05:00"), patient=JO)
    read = (await desk.get(f"/api/v1/visits/{held.json()['id']}")).json()
    assert held.json()["reminders"] == read["reminders"]
    assert held.json()["manage_url"] == read["manage_url"]


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


async def test_days_are_counted_within_the_moments_asked_for(public: httpx.AsyncClient) -> None:
    params = {"visit_type": "eval-run", "from": TEN, "to": f"{DAY}T15:00:00-05:00", "therapist": "rivera"}
    slots = (await public.get("/api/v1/slots", params=params)).json()["items"]
    days = (await public.get("/api/v1/slots/days", params=params)).json()["items"]
    assert days == [{"date": DAY, "open": len(slots), "first": slots[0]["starts_at"]}]
    whole = (await public.get("/api/v1/slots/days", params={**params, "from": DAY, "to": "2026-12-09"})).json()["items"]
    assert whole[0]["open"] > len(slots)
    assert whole[0]["first"] < slots[0]["starts_at"]


async def test_a_therapist_who_does_not_perform_a_visit_type_has_no_slots_of_it(
    public: httpx.AsyncClient, clinic: Clinic
) -> None:
    unable = next(one for one in clinic.therapists.values() if not one.may_perform(clinic.visit_types["eval-run"]))
    params = {"visit_type": "eval-run", "from": DAY, "to": "2026-12-09", "therapist": unable.code}
    slots = (await public.get("/api/v1/slots", params=params)).json()
    assert (slots["items"], slots["next_available"]) == ([], None)
    days = (await public.get("/api/v1/slots/days", params=params)).json()["items"]
    assert [day["open"] for day in days] == [0]
    operations = (await public.get("/schema/openapi.json")).json()["paths"]
    assert all("not-qualified" not in str(operations[path]["get"]) for path in ("/api/v1/slots", "/api/v1/slots/days"))
