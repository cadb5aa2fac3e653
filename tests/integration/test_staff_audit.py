"""Administrators see who saw and changed what, and nobody looks unseen; what is taken out holds no formula."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.settings import Settings
from scheduler.store.audit import add_audit_event
from scheduler.store.audit_pages import AuditFilter, list_events
from scheduler.store.connections import Pool
from scheduler.web.staff.audit import SHOWN
from scheduler.web.staff.tables import csv_line
from tests.integration.requests import JO, act, book
from tests.integration.staffing import Screen, signed_in

AUDIT = "/staff/audit"


@pytest.fixture
async def admin(app: Litestar, pool: Pool, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with signed_in(app, pool, clinic, settings, "admin", name="Ana Morales") as screen:
        yield screen


@pytest.fixture
async def visit(desk: httpx.AsyncClient) -> dict[str, str]:
    """Book a visit for Ash and cancel it, as the front desk's software does; look at another patient's."""
    visit = (await book(desk, "follow-up", "2027-03-09T10:00:00-05:00")).json()
    await act(desk, visit, "cancel", reason="asked by phone")
    other = (await book(desk, "follow-up", "2027-03-09T11:00:00-05:00", patient=JO)).json()
    await desk.get(f"/api/v1/patients/{other['patient']['id']}")
    return visit


def lines(page: str) -> list[str]:
    """Return the rows of the page's table, as a person reads them."""
    body = re.search(r"<tbody[^>]*>(.*?)</tbody>", page, re.DOTALL)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body[1] if body else "", re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


async def test_what_was_done_and_seen_is_listed_newest_first(admin: Screen, visit: dict[str, str]) -> None:
    page = await admin.open(AUDIT)
    assert page.status_code == 200
    shown = lines(page.text)
    words = ["Looked at a patient Jo Placeholder", "Visit booked Jo", "Visit cancelled Ash Sample", "Visit booked Ash"]
    places = [next(number for number, line in enumerate(shown) if word in line) for word in words]
    assert places == sorted(places)
    assert "reason: asked by phone" in shown[places[2]]
    assert f"/staff/day/2027-03-09?sel={visit['id']}" in page.text
    assert "front desk" in shown[0]


async def test_a_look_at_the_audit_is_in_it(admin: Screen, visit: dict[str, str], pool: Pool) -> None:  # noqa: ARG001
    await admin.open(AUDIT)
    assert any("A.M. Looked at the audit" in line for line in lines((await admin.open(AUDIT)).text))
    (row,) = await pool.fetch("select details from audit_events where action = 'audit.listed' order by id limit 1")
    assert len(row["details"]["patients"]) == 2


@pytest.mark.parametrize(
    ("wanted", "there", "away"),
    [
        ({"what": "looks"}, "Looked at a patient", "Visit booked"),
        ({"what": "changes"}, "Visit booked", "Looked at a patient"),
        ({"what": "sign-ins"}, "Staff signed in", "Visit booked"),
        ({"who": "key:front desk"}, "Visit booked", "Staff signed in"),
        ({"who": "patient"}, "", "Visit booked"),
        ({"from": "2020-01-01", "to": "2020-01-31"}, "", "Visit booked"),
    ],
)
async def test_the_audit_is_filtered_by_who_what_and_when(
    wanted: dict[str, str],
    there: str,
    away: str,
    admin: Screen,
    visit: dict[str, str],  # noqa: ARG001
) -> None:
    page = await admin.client.get(AUDIT, params=wanted, headers={"Accept": "text/html"})
    shown = "\n".join(lines(page.text))
    assert (there in shown, away in shown) == (True, False)
    assert bool(shown) is bool(there)
    assert there or "Nothing like that happened in this time." in page.text


async def test_everything_about_one_patient_is_theirs_their_visits_and_their_lists(
    admin: Screen, visit: dict[str, str], desk: httpx.AsyncClient
) -> None:
    patient = visit["patient"]["id"]  # type: ignore[index]  # pyright: ignore
    await desk.get("/api/v1/patients", params={"q": "sample"})
    page = await admin.open(f"{AUDIT}?patient={patient}")
    shown = "\n".join(lines(page.text))
    assert "Only about <b>Ash Sample</b>" in page.text
    assert "Visit cancelled Ash Sample" in shown
    assert "Saw patients in a list 1 patient" in shown
    assert "Jo" not in shown
    hidden = await admin.follow(await admin.send(f"{AUDIT}?patient={patient}", "/staff/preferences", hide_names="yes"))
    assert "Only about <b>A.S.</b>" in hidden.text
    assert "Ash" not in hidden.text


@pytest.mark.parametrize(
    ("period", "sentence"),
    [
        ({"from": "soon"}, "Enter a date like 2026-12-08."),
        ({"to": "2026-13-01"}, "Enter a date like"),
        ({"from": "2026-12-02", "to": "2026-12-01"}, "This date is before the first one."),
        ({"from": "2001-01-01", "to": "2026-12-01"}, "Ask for 800 days at most."),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "Enter a date like"),
        ({"from": "20261201"}, "Enter a date like"),
    ],
)
async def test_a_date_that_is_none_is_said_beside_its_field(
    period: dict[str, str], sentence: str, admin: Screen
) -> None:
    page = await admin.client.get(AUDIT, params=period, headers={"Accept": "text/html"})
    assert (page.status_code, sentence in page.text) == (422, True)
    for name, value in period.items():
        assert f'name="{name}" type="date" autocomplete="off" value="{value}"' in page.text
    file = await admin.client.get(f"{AUDIT}/file.csv", params=period, headers={"Accept": "text/html"})
    assert file.headers["location"].startswith(f"{AUDIT}?")


async def test_older_rows_are_pages_that_neither_skip_nor_repeat(admin: Screen, pool: Pool, clinic: Clinic) -> None:
    async with pool.acquire() as connection:
        for number in range(2 * SHOWN + 7):
            await add_audit_event(
                connection, clinic.id, actor="system", action="thing.done", details={"number": f"no. {number}."}
            )
    address, seen = f"{AUDIT}?who=system", list[str]()
    while address:
        page = (await admin.open(address)).text
        seen += re.findall(r"no\. (\d+)\.", page)
        older = re.search(r'href="([^"]*before=[^"]*)">Older', page)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == [str(number) for number in reversed(range(2 * SHOWN + 7))]


async def test_a_file_holds_what_the_page_shows_and_that_it_was_taken(
    admin: Screen, visit: dict[str, str], pool: Pool
) -> None:
    async with pool.acquire() as connection:
        clinic_id = await connection.fetchval("select id from clinics")
        await add_audit_event(
            connection, clinic_id, actor="key:=cmd|'/C calc'!A1", action="=HYPERLINK(1)", request_id="@SUM(1)"
        )
    file = await admin.open(f"{AUDIT}/file.csv")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="audit-[\d-]+\.csv"', file.headers["content-disposition"])
    assert file.text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert any(row["action"] == "visit.cancelled" and row["visit_id"] == visit["id"] for row in rows)
    assert "Ash" not in file.text
    assert "0142" not in file.text
    cells = [cell for row in rows for cell in row.values()]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert await pool.fetchval("select count(*) from audit_events where action = 'audit.exported'") == 1


@pytest.mark.parametrize("role", ["desk", "therapist"])
async def test_only_administrators_see_the_audit(
    role: str, app: Litestar, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    async with signed_in(app, pool, clinic, settings, role) as screen:  # pyright: ignore[reportArgumentType]
        for address in (AUDIT, f"{AUDIT}/file.csv"):
            page = await screen.open(address)
            assert (page.status_code, "Your account may not do that" in page.text) == (403, True)
        assert 'href="/staff/audit"' not in (await screen.open("/staff/account")).text
    assert await pool.fetchval("select count(*) from audit_events where action like 'audit.%'") == 0


async def test_an_index_finds_the_rows_of_a_time(pool: Pool, clinic: Clinic) -> None:
    async with pool.acquire() as connection:
        await connection.execute(
            """insert into audit_events (clinic_id, id, at, actor, action)
            select $1, encode(substring(int8send((extract(epoch from at) * 1000)::int8) from 3)
                || decode('7', 'escape') || substring(uuid_send(gen_random_uuid()) from 8), 'hex')::uuid, at, 'x', 'y'
            from generate_series(now() - interval '400 days', now(), interval '1 hour') as at""",
            clinic.id,
        )
        now = await connection.fetchval("select now()")
        wanted = AuditFilter(starts=now - timedelta(days=100), ends=now - timedelta(days=99))
        found = await list_events(connection, clinic.id, wanted, before=None, limit=100)
        assert len(found) == 24
        assert found == sorted(found, key=lambda event: event.id, reverse=True)
        nobody = await list_events(
            connection, clinic.id, AuditFilter(starts=wanted.starts, ends=now, patient_id=UUID(int=1)),
            before=None, limit=9,
        )  # fmt: skip
    assert nobody == []


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1 201", "'+1 201"),
        ("-x", "'-x"),
        ("@A", "'@A"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("a=1", "a=1"),
        (-5, "-5"),
        (0.25, "0.25"),
        (None, ""),
        ('say "a, b"', '"say ""a, b"""'),
    ],
)
def test_a_cell_is_what_it_is_and_no_formula(cell: str | float | None, written: str) -> None:
    assert csv_line([cell, "end"]) == f"{written},end\r\n"
