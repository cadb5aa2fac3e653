"""Hours, overrides, time off and closures over the API, and why a time is not open."""

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of, make_key
from tests.integration.requests import book, first_slot, hold

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
DAY = "2026-12-08"
RIVERA = "/api/v1/therapists/rivera"
TUESDAYS: dict[str, Any] = {"windows": [{"weekday": "tuesday", "from": "10:00", "to": "12:00"}]}


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


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


async def test_the_weekly_hours_are_those_of_the_file_until_the_desk_sets_them(
    desk: httpx.AsyncClient, pool: Pool, settings: Settings
) -> None:
    before = (await desk.get(f"{RIVERA}/hours")).json()
    assert (before["therapist"], before["set_by"], len(before["windows"])) == ("rivera", "file", 9)
    assert before["windows"][0] == {
        "weekday": "monday", "from": "08:00", "to": "12:00", "ends_next_day": False,
        "valid_from": None, "valid_until": None,
    }  # fmt: skip
    changed = await desk.put(f"{RIVERA}/hours", json=TUESDAYS)
    assert changed.status_code == 200, changed.text
    assert changed.json()["affected_visits"] == []
    assert await starts(desk) == ["10:00", "10:15", "10:30", "10:45", "11:00", "11:15"]
    assert await starts(desk, "2026-12-09") == []
    assert "therapist rivera: weekly hours stay as the front desk set them" in await apply_again(pool, settings)
    after = (await desk.get(f"{RIVERA}/hours")).json()
    assert after == {key: value for key, value in changed.json().items() if key != "affected_visits"}
    assert after["set_by"] == "desk"
    (details,) = await audited(pool, "hours.set")
    assert details["after"] == ["hours on Tuesday 10:00-12:00"]
    assert len(details["before"]) == 9


async def test_windows_of_every_kind_come_back_as_they_were_sent(desk: httpx.AsyncClient) -> None:
    windows = [
        {"weekday": "monday", "from": "22:00", "to": "06:00", "ends_next_day": True},
        {"weekday": "tuesday", "from": "08:00", "to": "12:00", "valid_from": "2026-12-01", "valid_until": "2026-12-31"},
        {"weekday": "tuesday", "from": "11:00", "to": "13:00"},
        {"weekday": "sunday", "from": "00:00", "to": "24:00", "valid_from": "2027-01-01"},
    ]
    answer = (await desk.put(f"{RIVERA}/hours", json={"windows": windows})).json()
    usual = {"ends_next_day": False, "valid_from": None, "valid_until": None}
    assert answer["windows"] == [{**usual, **window} for window in windows]
    again = await desk.put(f"{RIVERA}/hours", json={"windows": answer["windows"]})
    assert again.json() == answer
    # What overlaps counts as one: a visit may begin in the one window and end in the other.
    assert "11:45" in await starts(desk)
    assert (await starts(desk))[:2] == ["00:00", "00:15"]
    assert (await desk.put(f"{RIVERA}/hours", json={"windows": []})).json()["windows"] == []
    assert await starts(desk) == []


async def test_hours_that_make_no_sense_are_refused_by_their_field(desk: httpx.AsyncClient) -> None:
    day = {"weekday": "monday"}
    response = await desk.put(
        f"{RIVERA}/hours",
        json={
            "windows": [
                {**day, "from": "08:00", "to": "12:00"},
                {**day, "from": "8:00", "to": "25:00"},
                {**day, "from": "12:00", "to": "12:00"},
                {**day, "from": "12:00", "to": "08:00"},
                {**day, "from": "24:00", "to": "24:00"},
                {**day, "from": "08:00", "to": "08:01", "ends_next_day": True},
                {**day, "from": "08:00", "to": "12:00", "valid_from": "2027-02-01", "valid_until": "2027-01-31"},
            ]
        },
    )
    assert fields(response) == {
        "/windows/1/from": "time-invalid",
        "/windows/1/to": "time-invalid",
        "/windows/2/to": "range-empty",
        "/windows/3/to": "range-empty",
        "/windows/4/from": "time-invalid",
        "/windows/5/to": "range-too-long",
        "/windows/6/valid_until": "range-empty",
    }
    assert (await desk.get(f"{RIVERA}/hours")).json()["set_by"] == "file"


@pytest.mark.parametrize(
    ("windows", "pointer"),
    [
        ([{"weekday": "someday", "from": "08:00", "to": "12:00"}], "/windows/0/weekday"),
        ([{"weekday": "monday", "from": "08:00", "to": "12:00", "room": "gym"}], "/windows/0/room"),
        ([{"weekday": "monday", "from": 8, "to": "12:00"}], "/windows/0/from"),
        ([{"weekday": "monday", "from": "08:00", "to": "12:00", "valid_from": "soon"}], "/windows/0/valid_from"),
        ([{"weekday": "monday", "from": "08:00"}], "/windows/0/to"),
        ([{"weekday": "monday", "from": "08:00", "to": "12:00"}] * 101, "/windows"),
        ("all day", "/windows"),
    ],
)
async def test_what_is_no_window_is_refused_by_name(desk: httpx.AsyncClient, windows: Any, pointer: str) -> None:
    assert list(fields(await desk.put(f"{RIVERA}/hours", json={"windows": windows}))) == [pointer]


async def test_a_dry_run_changes_nothing(desk: httpx.AsyncClient, pool: Pool) -> None:
    tables = ("working_windows", "overrides", "closures", "time_off", "therapists", "audit_events")

    async def rows() -> list[Any]:
        return [await pool.fetch(f"select * from {table}") for table in tables]

    before, dry = await rows(), {"dry_run": True}
    answers = [
        await desk.put(f"{RIVERA}/hours", json=TUESDAYS, params=dry),
        await desk.put(f"{RIVERA}/overrides/{DAY}", json={}, params=dry),
        await desk.delete("/api/v1/therapists/lind/overrides/2026-12-23", params=dry),
        await desk.post(f"{RIVERA}/time-off", json={"from": DAY, "to": "2026-12-09"}, params=dry),
        await desk.put(f"/api/v1/closures/{DAY}", json={}, params=dry),
        await desk.delete("/api/v1/closures/2026-12-25", params=dry),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert answers[0].json()["set_by"] == "desk"
    assert answers[3].json()["id"] is None
    assert await rows() == before
    assert "09:00" in await starts(desk)


async def test_an_override_replaces_its_date_and_goes_again(desk: httpx.AsyncClient, pool: Pool) -> None:
    body = {"windows": [{"from": "17:00", "to": "18:00"}, {"from": "18:00", "to": "18:30"}], "reason": "Late shift"}
    answer = await desk.put(f"{RIVERA}/overrides/{DAY}", json=body)
    assert answer.status_code == 200, answer.text
    override = {
        "therapist": "rivera", "date": DAY, "reason": "Late shift", "set_by": "desk",
        "windows": [{"from": "17:00", "to": "18:30", "ends_next_day": False}],
    }  # fmt: skip
    assert answer.json() == {**override, "affected_visits": []}
    assert (await desk.get(f"{RIVERA}/overrides/{DAY}")).json() == {**override, "affected_visits": []}
    assert (await desk.get(f"{RIVERA}/overrides")).json() == {"items": [override], "next_cursor": None}
    assert await starts(desk) == ["17:00", "17:15", "17:30", "17:45"]
    assert (await desk.put(f"{RIVERA}/overrides/{DAY}", json={})).json()["windows"] == []
    assert await starts(desk) == []
    assert (await desk.delete(f"{RIVERA}/overrides/{DAY}")).json() == {"affected_visits": []}
    assert (await starts(desk))[0] == "08:00"
    for gone in (await desk.delete(f"{RIVERA}/overrides/{DAY}"), await desk.get(f"{RIVERA}/overrides/{DAY}")):
        assert (gone.status_code, gone.json()["code"]) == (404, "not-found")
    assert [(details["before"], details["after"]) for details in await audited(pool, "override.set")] == [
        (None, f"override on {DAY} (17:00-18:30)"),
        (f"override on {DAY} (17:00-18:30)", f"override on {DAY} (all day off)"),
    ]
    (removed,) = await audited(pool, "override.removed")
    assert (removed["before"], removed["after"]) == (f"override on {DAY} (all day off)", None)


async def test_what_the_desk_took_out_the_file_does_not_bring_back(
    desk: httpx.AsyncClient, pool: Pool, settings: Settings
) -> None:
    lind = "/api/v1/therapists/lind/overrides"
    assert [item["date"] for item in (await desk.get(lind)).json()["items"]] == ["2026-12-12", "2026-12-23"]
    assert (await desk.delete(f"{lind}/2026-12-23")).status_code == 200
    assert (await desk.put(f"{lind}/2026-12-12", json={})).status_code == 200
    assert (await desk.delete("/api/v1/closures/2026-12-25")).status_code == 200
    half_day = {"windows": [{"from": "08:00", "to": "10:00"}]}
    assert (await desk.put("/api/v1/closures/2026-12-24", json=half_day)).status_code == 200
    assert await apply_again(pool, settings) == [
        "therapist lind: override on 2026-12-12 stays as the front desk left it",
        "therapist lind: override on 2026-12-23 stays as the front desk left it",
        "clinic fair-lawn: closure on 2026-12-24 stays as the front desk left it",
        "clinic fair-lawn: closure on 2026-12-25 stays as the front desk left it",
    ]
    assert await starts(desk, "2026-12-12", "lind") == []
    assert await starts(desk, "2026-12-23", "lind")
    assert await starts(desk, "2026-12-25", "lind")
    # What it took out and sets again is in force again.
    assert (await desk.put(f"{lind}/2026-12-23", json={})).status_code == 200
    assert await starts(desk, "2026-12-23", "lind") == []


async def test_lists_of_dates_go_on_where_they_stopped(desk: httpx.AsyncClient) -> None:
    page = {"limit": 4}
    seen: list[str] = []
    for _ in range(4):
        answer = (await desk.get("/api/v1/closures", params=page)).json()
        seen += [item["date"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        page = {"limit": 4, "cursor": answer["next_cursor"]}
    assert len(seen) == 10
    assert (seen[0], seen[-1]) == ("2026-11-26", "2027-12-24")
    year = (await desk.get("/api/v1/closures", params={"from": "2026-12-25", "to": "2027-05-31"})).json()["items"]
    assert [item["date"] for item in year] == ["2026-12-25", "2027-01-01"]
    for name, value in (("from", "soon"), ("to", "0001-01-01"), ("cursor", "x")):
        assert list(fields(await desk.get("/api/v1/closures", params={name: value}))) == [f"?{name}"]


async def test_a_closure_closes_everybodys_day_and_opens_again(desk: httpx.AsyncClient, pool: Pool) -> None:
    half = {"windows": [{"from": "07:00", "to": "09:00"}], "reason": "Burst pipe"}
    closed = await desk.put(f"/api/v1/closures/{DAY}", json=half)
    assert closed.status_code == 200, closed.text
    assert closed.json()["windows"] == [{"from": "07:00", "to": "09:00", "ends_next_day": False}]
    assert await starts(desk) == ["08:00", "08:15"]
    assert await starts(desk, therapist="lind") == []
    assert (await desk.delete(f"/api/v1/closures/{DAY}")).status_code == 200
    assert await starts(desk, therapist="lind")
    assert (await desk.delete(f"/api/v1/closures/{DAY}")).status_code == 404
    assert [(details["before"], details["after"]) for details in await audited(pool, "closure.removed")] == [
        (f"closure on {DAY} (07:00-09:00)", None)
    ]


@pytest.mark.parametrize("address", [f"{RIVERA}/overrides", "/api/v1/closures"])
async def test_dates_that_cannot_be_meant_are_refused(desk: httpx.AsyncClient, address: str) -> None:
    for day, code in (
        ("tomorrow", "date-invalid"),
        ("2026-02-30", "date-invalid"),
        ("0001-01-01", "date-out-of-range"),
        ("9999-12-31", "date-out-of-range"),
        ("2026-11-22", "date-in-the-past"),
        ("2029-12-08", "date-too-far"),
    ):
        assert fields(await desk.put(f"{address}/{day}", json={})) == {"day": code}
    assert (await desk.put(f"{address}/2026-11-23", json={})).status_code == 200
    backward = await desk.put(f"{address}/{DAY}", json={"windows": [{"from": "12:00", "to": "11:00"}]})
    assert fields(backward) == {"/windows/0/to": "range-empty"}
    wordy = await desk.put(f"{address}/{DAY}", json={"reason": "x" * 201})
    assert list(fields(wordy)) == ["/reason"]
    assert fields(await desk.put(f"{address}/{DAY}")) == {"/": "missing"}


async def test_what_the_clinic_says_of_today_minds_a_closure(
    desk: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    async def today() -> list[tuple[str, str]]:
        answer = await public.get("/api/v1/clinic")
        return [(each["opens"], each["closes"]) for each in answer.json()["today"]]

    usual = await today()
    ((opens, closes),) = usual
    address = f"/api/v1/closures/{NOW.date()}"
    some = [{"from": "00:00", "to": "09:30"}, {"from": "12:00", "to": "12:30"}]
    await desk.put(address, json={"windows": some, "reason": "a burst pipe"})
    assert await today() == [(opens, "09:30"), ("12:00", "12:30")]
    await desk.put(address, json={"reason": "a burst pipe"})
    assert await today() == []
    await desk.delete(address)
    assert await today() == [(opens, closes)]


async def test_a_closure_is_about_one_date(desk: httpx.AsyncClient) -> None:
    night = {"windows": [{"from": "20:00", "to": "02:00", "ends_next_day": True}]}
    assert fields(await desk.put(f"/api/v1/closures/{DAY}", json=night)) == {
        "/windows/0/ends_next_day": "unknown-field"
    }


async def test_time_off_comes_is_listed_and_goes(desk: httpx.AsyncClient, pool: Pool) -> None:
    body = {"from": f"{DAY}T09:00:00-05:00", "to": f"{DAY}T16:00:00-05:00", "reason": "Course"}
    added = await desk.post(f"{RIVERA}/time-off", json=body)
    assert added.status_code == 201, added.text
    absence = {key: value for key, value in added.json().items() if key != "affected_visits"}
    assert absence.items() >= {**body, "therapist": "rivera", "created_by": "key:front desk"}.items()
    assert added.headers["location"] == f"{RIVERA}/time-off/{absence['id']}"
    assert (await desk.get(added.headers["location"])).json() == added.json()
    assert await starts(desk) == ["08:00", "08:15", "16:00", "16:15"]
    assert (await desk.get(f"{RIVERA}/time-off")).json() == {"items": [absence], "next_cursor": None}
    assert (await desk.get("/api/v1/therapists/lind/time-off")).json()["items"] == []
    stranger = f"/api/v1/therapists/lind/time-off/{absence['id']}"
    assert (await desk.delete(stranger)).status_code == 404
    assert (await desk.delete(added.headers["location"])).json() == {"affected_visits": []}
    assert (await desk.delete(added.headers["location"])).status_code == 404
    assert len(await starts(desk)) > 10
    (details,) = await audited(pool, "time-off.added")
    assert datetime.fromisoformat(details["after"]["from"]) == datetime.fromisoformat(body["from"])
    assert (await audited(pool, "time-off.removed"))[0]["before"] == details["after"]


async def test_dates_mean_whole_days(desk: httpx.AsyncClient) -> None:
    added = (await desk.post(f"{RIVERA}/time-off", json={"from": DAY, "to": "2026-12-09"})).json()
    assert (added["from"], added["to"]) == (f"{DAY}T00:00:00-05:00", "2026-12-09T00:00:00-05:00")
    assert await starts(desk) == []
    assert await starts(desk, "2026-12-09")


async def test_a_repeated_post_is_one_absence_and_a_dry_run_uses_no_key_up(desk: httpx.AsyncClient, pool: Pool) -> None:
    body, headers = {"from": DAY, "to": "2026-12-09"}, {"Idempotency-Key": "away"}
    tried = await desk.post(f"{RIVERA}/time-off", json=body, headers=headers, params={"dry_run": True})
    assert tried.status_code == 200
    first, again = [await desk.post(f"{RIVERA}/time-off", json=body, headers=headers) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert await pool.fetchval("select count(*) from time_off") == 1


async def test_absences_are_listed_in_order_a_page_at_a_time(desk: httpx.AsyncClient) -> None:
    for day in (9, 1, 20, 5):
        body = {"from": f"2026-12-{day:02}", "to": f"2026-12-{day + 1:02}"}
        assert (await desk.post(f"{RIVERA}/time-off", json=body)).status_code == 201
    first = (await desk.get(f"{RIVERA}/time-off", params={"limit": 3})).json()
    rest = (await desk.get(f"{RIVERA}/time-off", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [item["from"][8:10] for item in first["items"] + rest["items"]] == ["01", "05", "09", "20"]
    assert rest["next_cursor"] is None
    within = await desk.get(f"{RIVERA}/time-off", params={"from": "2026-12-02", "to": "2026-12-09"})
    assert [item["from"][8:10] for item in within.json()["items"]] == ["05"]
    with time_machine.travel("2026-12-06T10:00:00-05:00", tick=True):
        coming = (await desk.get(f"{RIVERA}/time-off")).json()["items"]
    assert [item["from"][8:10] for item in coming] == ["09", "20"]
    backward = await desk.get(f"{RIVERA}/time-off", params={"from": "2026-12-09", "to": "2026-12-02"})
    assert fields(backward) == {"?to": "range-empty"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"from": DAY, "to": DAY}, {"/to": "range-empty"}),
        ({"from": DAY, "to": "2026-12-01"}, {"/to": "range-empty"}),
        ({"from": "2026-11-01", "to": "2026-11-20"}, {"/to": "time-in-the-past"}),
        ({"from": DAY, "to": "2027-12-31"}, {"/to": "range-too-long"}),
        ({"from": "2028-12-01", "to": "2028-12-02"}, {"/to": "time-too-far"}),
        ({"from": f"{DAY}T09:00:00", "to": "late"}, {"/from": "time-without-offset", "/to": "time-invalid"}),
        ({"from": DAY}, {"/to": "missing"}),
        ({"from": DAY, "to": "2026-12-09", "therapist": "lind"}, {"/therapist": "unknown-field"}),
    ],
)
async def test_absences_that_cannot_be_meant_are_refused(
    desk: httpx.AsyncClient, body: dict[str, str], problem: dict[str, str]
) -> None:
    assert fields(await desk.post(f"{RIVERA}/time-off", json=body)) == problem


CALLS: list[tuple[str, str, Any]] = [
    ("GET", f"{RIVERA}/hours", None),
    ("PUT", f"{RIVERA}/hours", TUESDAYS),
    ("GET", f"{RIVERA}/overrides", None),
    ("GET", f"{RIVERA}/overrides/{DAY}", None),
    ("PUT", f"{RIVERA}/overrides/{DAY}", {}),
    ("DELETE", f"{RIVERA}/overrides/{DAY}", None),
    ("GET", f"{RIVERA}/time-off", None),
    ("POST", f"{RIVERA}/time-off", {"from": DAY, "to": "2026-12-09"}),
    ("GET", f"{RIVERA}/time-off/019ae0c4-8b00-7000-8000-000000000006", None),
    ("DELETE", f"{RIVERA}/time-off/019ae0c4-8b00-7000-8000-000000000006", None),
    ("GET", "/api/v1/closures", None),
    ("GET", f"/api/v1/closures/{DAY}", None),
    ("PUT", f"/api/v1/closures/{DAY}", {}),
    ("DELETE", f"/api/v1/closures/{DAY}", None),
    ("GET", f"/api/v1/availability/explain?therapist=rivera&visit_type=eval&date={DAY}", None),
]


async def test_reading_and_changing_need_their_scopes(
    app: Litestar, public: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    async def with_scope(scope: str) -> httpx.AsyncClient:
        async with pool.acquire() as connection:
            _, key = await create_api_key(connection, clinic, scope, [scope], actor=SYSTEM)
        return client_of(app, Authorization=f"Bearer {key}")

    async with (
        await with_scope("visits:read") as reader,
        await with_scope("schedule:write") as planner,
        await with_scope("visits:write") as booker,
    ):
        for method, path, body in CALLS:
            assert (await public.request(method, path, json=body)).status_code == 401
            assert (await booker.request(method, path, json=body)).status_code == 403
            expected = {403} if method != "GET" else {200, 404}
            assert (await reader.request(method, path, json=body)).status_code in expected, (method, path)
            assert (await planner.request(method, path, json=body)).status_code in {200, 201, 404}, (method, path)


async def test_another_clinics_therapists_and_dates_are_as_good_as_unknown(
    app: Litestar, desk: httpx.AsyncClient, pool: Pool, tmp_path: Path, settings: Settings
) -> None:
    text = settings.scheduler_clinic.read_text(encoding="utf-8")
    for code, therapist in (("fair-lawn", "rivera"), ("wayne", "moreno")):
        renamed = text.replace('code = "fair-lawn"', f'code = "{code}"').replace(
            "therapists.rivera", f"therapists.{therapist}"
        )
        (tmp_path / f"{code}.toml").write_text(renamed, encoding="utf-8")
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, read_files(tmp_path))
        clinics = await load_clinics(connection)
    app.state.directory.replace(clinics)
    added = await desk.post(f"{RIVERA}/time-off", json={"from": DAY, "to": "2026-12-09"})
    assert (await desk.put(f"/api/v1/closures/{DAY}", json={})).status_code == 200
    assert (await desk.put("/api/v1/therapists/okafor/overrides/2026-12-09", json={})).status_code == 200
    async with client_of(app, Authorization=f"Bearer {await make_key(pool, clinics[1], 'admin')}") as other:
        for method, path, body in CALLS:
            if "rivera" in path and "explain" not in path:
                refused = await other.request(method, path, json=body)
                assert (refused.status_code, refused.json()["code"]) == (404, "not-found")
        theirs = f"/api/v1/therapists/moreno/time-off/{added.json()['id']}"
        assert (await other.delete(theirs)).status_code == 404
        assert (await other.delete(f"/api/v1/closures/{DAY}")).status_code == 404
        assert (await other.delete("/api/v1/therapists/okafor/overrides/2026-12-09")).status_code == 404
        assert await starts(other, therapist="moreno")
        assert await starts(other, "2026-12-10", "okafor")


async def test_a_day_is_explained_start_by_start(desk: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", f"{DAY}T09:00:00-05:00", therapist="rivera")).json()
    held = await hold(public, "follow-up", f"{DAY}T11:00:00-05:00", therapist="rivera")
    await desk.post(f"{RIVERA}/time-off", json={"from": f"{DAY}T13:00:00-05:00", "to": f"{DAY}T14:00:00-05:00"})
    await desk.put(f"{RIVERA}/overrides/{DAY}", json={"windows": [{"from": "08:00", "to": "16:00"}]})
    await desk.put(f"/api/v1/closures/{DAY}", json={"windows": [{"from": "07:00", "to": "15:00"}]})
    asked = {"therapist": "rivera", "date": DAY, "visit_type": "follow-up"}
    answer = await desk.get("/api/v1/availability/explain", params=asked)
    assert answer.status_code == 200, answer.text
    items = {item["starts_at"][11:16]: item for item in answer.json()["items"]}
    assert len(items) == 96
    told = ("00:00", "08:00", "09:30", "11:15", "12:30", "15:15", "16:00")
    assert {clock: items[clock]["reasons"] for clock in told} == {
        "00:00": ["closed", "outside-hours"],
        "08:00": [],
        "09:30": ["therapist-busy"],
        "11:15": ["held"],
        "12:30": ["time-off"],
        "15:15": ["closed"],
        "16:00": ["closed", "override"],
    }
    assert items["09:30"]["visits"] == [visit["id"]]
    assert (items["11:15"]["visits"], items["11:15"]["held_until"]) == ([held["id"]], held["expires_at"])
    assert [clock for clock, item in items.items() if item["open"]] == await starts(desk)
    assert [clock for clock, item in items.items() if item["online"]["open"]] == await starts(public)


async def test_what_binds_patients_alone_is_told_apart(desk: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    async def online(day: str, clock: str, visit_type: str = "follow-up") -> Any:
        asked = {"therapist": "rivera", "date": day, "visit_type": visit_type}
        items = (await desk.get("/api/v1/availability/explain", params=asked)).json()["items"]
        (item,) = [item for item in items if item["starts_at"][11:16] == clock]
        assert item["open"], item
        return item["online"]

    assert await online("2026-11-23", "13:00") == {"open": False, "reasons": ["too-soon"]}
    assert await online("2026-11-24", "10:15") == {"open": True, "reasons": []}
    assert await online("2027-03-24", "10:15") == {"open": False, "reasons": ["too-far-ahead"]}
    assert await online(DAY, "10:15", "re-eval") == {"open": False, "reasons": ["not-bookable-online"]}
    assert (await first_slot(public, "follow-up", "2026-11-24", therapist="rivera"))["starts_at"][11:16] == "10:15"


@pytest.mark.parametrize(("day", "starts_of_day"), [("2027-03-14", 92), ("2027-11-07", 100)])
async def test_the_days_on_which_the_clocks_change_are_explained_whole(
    desk: httpx.AsyncClient, day: str, starts_of_day: int
) -> None:
    await desk.put(f"{RIVERA}/overrides/{day}", json={"windows": [{"from": "00:00", "to": "24:00"}]})
    asked = {"therapist": "rivera", "date": day, "visit_type": "follow-up"}
    items = (await desk.get("/api/v1/availability/explain", params=asked)).json()["items"]
    assert len({item["starts_at"] for item in items}) == starts_of_day
    assert [item["open"] for item in items] == [True] * (starts_of_day - 2) + [False] * 2


async def test_a_question_that_cannot_be_answered_says_why(desk: httpx.AsyncClient) -> None:
    asked = {"therapist": "nobody", "date": "2026-13-01", "visit_type": "massage"}
    assert fields(await desk.get("/api/v1/availability/explain", params=asked)) == {
        "?therapist": "therapist-unknown", "?date": "date-invalid", "?visit_type": "visit-type-unknown",
    }  # fmt: skip
    half = await desk.get("/api/v1/availability/explain", params={"date": DAY, "therapist": "rivera"})
    assert fields(half) == {"?visit_type": "missing"}
    marsh = {"therapist": "marsh", "date": DAY, "visit_type": "eval"}
    items = (await desk.get("/api/v1/availability/explain", params=marsh)).json()["items"]
    assert all(item["reasons"][0] == "not-qualified" for item in items)
