"""Weekly hours over the API, and who may read and change a schedule."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from scheduler.domain.actors import SYSTEM
from scheduler.domain.clinics import Clinic
from scheduler.services.api_keys import create_api_key
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.integration.conftest import client_of, make_key
from tests.integration.requests import DAY
from tests.integration.scheduling import RIVERA, apply_again, audited, fields, starts

pytestmark = pytest.mark.usefixtures("monday")

TUESDAYS: dict[str, Any] = {"windows": [{"weekday": "tuesday", "from": "10:00", "to": "12:00"}]}


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
