"""Reports count what happened, no more and no less; a chart says what its table says, and a file the same."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from litestar import Litestar

from scheduler.domain.clinics import Clinic
from scheduler.domain.own_visits import PATIENT
from scheduler.ids import new_id
from scheduler.services.reports import read_report
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from tests.integration.staffing import Screen, signed_in

REPORTS = "/staff/reports"

# A Monday to a Sunday; the clocks change on the last day.
WEEK = {"from": "2026-10-26", "to": "2026-11-01"}
NOON = datetime(2026, 10, 28, 16, tzinfo=UTC)

# What became of visits, how many hours before their start that was, and who said so.
VISITS = [
    ("rivera", "completed", 0, ""), ("rivera", "completed", 0, ""), ("rivera", "no_show", 0, ""),
    ("rivera", "cancelled", 2, "patient"), ("rivera", "cancelled", 72, "patient"), ("rivera", "cancelled", 2, "clinic"),
    ("okafor", "arrived", 0, ""), ("okafor", "booked", 0, ""), ("okafor", "confirmed", 0, ""),
]  # fmt: skip


@pytest.fixture
async def desk_screen(app: Litestar, pool: Pool, clinic: Clinic, settings: Settings) -> AsyncIterator[Screen]:
    async with signed_in(app, pool, clinic, settings, "desk") as screen:
        yield screen


@pytest.fixture
async def week(pool: Pool, clinic: Clinic) -> None:
    """Write visits of Wednesday, each of an hour, booked so many days ahead as its number says."""
    async with pool.acquire() as connection:
        patient_id = new_id()
        await connection.execute(
            """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
            values ($1, $2, 'Robin', 'Invented', 'x', '+12015550123', 'en')""",
            clinic.id, patient_id,
        )  # fmt: skip
        for number, (therapist, status, hours, by) in enumerate(VISITS):
            visit_id, starts = new_id(), NOON + timedelta(hours=number - 4)
            await connection.execute(
                """insert into visits (clinic_id, id, status, visit_type, therapist_id, patient_id, starts_at, ends_at,
                    created_by, booked_at, status_changed_at)
                values ($1, $2, $3, 'follow-up', $4, $5, $6, $7, $8, $9, $10)""",
                clinic.id, visit_id, status, clinic.therapists[therapist].id, patient_id, starts,
                starts + timedelta(hours=1), ["public", PATIENT, "key:front desk"][number % 3],
                starts - timedelta(days=number), starts - timedelta(hours=hours),
            )  # fmt: skip
            if by:
                await connection.execute(
                    """insert into audit_events (clinic_id, id, actor, action, visit_id, details)
                    values ($1, $2, 'x', 'visit.cancelled', $3, jsonb_build_object('by', $4::text))""",
                    clinic.id, new_id(), visit_id, by,
                )  # fmt: skip


async def file(screen: Screen, name: str, **period: str) -> list[dict[str, str]]:
    answer = await screen.client.get(f"{REPORTS}/{name}.csv", params=period or WEEK)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


@pytest.mark.usefixtures("week")
async def test_visits_are_counted_by_what_became_of_them(desk_screen: Screen) -> None:
    rivera, okafor, everybody = await file(desk_screen, "attendance")
    assert rivera == {
        "Therapist": "Dr. A. Rivera", "Came": "2", "Missed": "1", "Canceled late": "1", "Canceled in time": "2",
        "Not marked": "0", "To come": "0", "Missed, of due": "0.25", "Late, of due": "0.25",
    }  # fmt: skip
    assert (okafor["Came"], okafor["Not marked"], okafor["Missed, of due"]) == ("1", "2", "0.0")
    assert (everybody["Therapist"], everybody["Came"], everybody["Missed, of due"]) == ("Everybody", "3", "0.2")
    assert len(await file(desk_screen, "attendance", **{"from": "2026-10-29", "to": "2026-11-01"})) == 1


@pytest.mark.usefixtures("week")
async def test_working_time_is_hours_less_closures_and_time_off(
    desk_screen: Screen, pool: Pool, clinic: Clinic
) -> None:
    before = {row["Therapist"]: row for row in await file(desk_screen, "utilisation")}
    # The sample clinic's file: Dr. Rivera works 8 to 17 but for a lunch of 45 minutes, from Monday to Friday.
    assert before["Dr. A. Rivera"]["Booked"] == "3:00"
    assert before["Dr. A. Rivera"]["Patients came"] == "2:00"
    hours, minutes = map(int, before["Dr. A. Rivera"]["Worked"].split(":"))
    worked = 60 * hours + minutes
    assert float(before["Dr. A. Rivera"]["Booked of worked"]) == pytest.approx(180 / worked, abs=0.0001)
    async with pool.acquire() as connection:
        monday = datetime(2026, 10, 26, 4, tzinfo=UTC)
        await connection.execute(
            """insert into time_off (clinic_id, id, therapist_id, during)
            values ($1, $2, $3, tstzrange($4, $5))""",
            clinic.id, new_id(), clinic.therapists["rivera"].id, monday, monday + timedelta(days=1),
        )  # fmt: skip
        of_monday = await read_report(connection, clinic, monday, monday + timedelta(days=1), now=NOON)
        whole = await read_report(connection, clinic, monday, monday + timedelta(days=7, hours=1), now=NOON)
    rivera = clinic.therapists["rivera"].id
    assert {one.therapist_id: one.working_minutes for one in of_monday.utilisation}[rivera] == 0
    less = {one.therapist_id: one.working_minutes for one in whole.utilisation}[rivera]
    assert 0 < less < worked
    closed = {
        row["Therapist"]: row
        for row in await file(desk_screen, "utilisation", **{"from": "2026-11-26", "to": "2026-11-26"})
    }
    assert closed["Dr. A. Rivera"]["Worked"] == "0:00", "the sample clinic is closed on Thanksgiving"
    assert closed["Dr. A. Rivera"]["Booked of worked"] == ""


@pytest.mark.usefixtures("week")
async def test_lead_times_are_days_between_the_clinics_dates(desk_screen: Screen) -> None:
    rows = {row["Ahead"]: row for row in await file(desk_screen, "lead-times")}
    assert {label: row["Together"] for label, row in rows.items()} == {
        "The same day": "1", "1 day": "1", "2 to 3 days": "2", "4 to 6 days": "3", "7 to 13 days": "2",
        "14 to 27 days": "0", "28 or more days": "0",
    }  # fmt: skip
    assert (rows["2 to 3 days"]["Booked online"], rows["2 to 3 days"]["By the desk"]) == ("1", "1")
    assert (
        "Half of them were booked 4 days ahead or less."
        in (await desk_screen.open(f"{REPORTS}?from=2026-10-26&to=2026-11-01")).text
    )


@pytest.mark.usefixtures("week")
async def test_a_confirmation_counts_for_the_reminder_before_it(
    desk_screen: Screen, pool: Pool, clinic: Clinic
) -> None:
    visits = [row["id"] for row in await pool.fetch("select id from visits order by starts_at")]
    hours = {"reminder_72h": ("email", 72), "reminder_24h": ("sms", 24), "reminder_2h": ("sms", 2)}
    # Hours before the start at which each visit was confirmed; None is never.
    confirmed = [90, 60, 30, 20, 10, 1, None, None, None]
    async with pool.acquire() as connection:
        for visit_id, before in zip(visits, confirmed, strict=True):
            for template, (channel, lead) in hours.items():
                await connection.execute(
                    """insert into messages (clinic_id, id, visit_id, patient_id, visit_version, kind, template,
                        channel, lead_minutes, language, address, variables, dedupe_key, not_before, expires_at, state,
                        sent_at)
                    select $1, $2, id, patient_id, 1, 'reminder', $4, $5, 60 * $6::int, 'en', 'x', '{}', id || $4,
                        starts_at, starts_at, 'delivered', starts_at - $6::int * interval '1 hour'
                    from visits where id = $3""",
                    clinic.id, new_id(), visit_id, template, channel, lead,
                )  # fmt: skip
            if before:
                await connection.execute(
                    """insert into audit_events (clinic_id, id, at, actor, action, visit_id)
                    select $1, $2, starts_at - $4::int * interval '1 hour', 'patient', 'visit.confirmed', id
                    from visits where id = $3""",
                    clinic.id, new_id(), visit_id, before,
                )  # fmt: skip
    rows = await file(desk_screen, "confirmations")
    assert [tuple(row.values()) for row in rows] == [
        # The visit that was confirmed before any reminder is nobody's; later reminders go to those not confirmed yet.
        ("3 days before, by email", "8", "2", "0.25"),
        ("24 hours before, by text", "6", "2", "0.3333"),
        ("2 hours before, by text", "4", "1", "0.25"),
    ]
    page = await desk_screen.open(f"{REPORTS}?from=2026-10-26&to=2026-11-01")
    assert "1 more were confirmed before any reminder." in page.text


@pytest.mark.usefixtures("week")
async def test_a_chart_says_what_its_table_says_and_names_nobody(desk_screen: Screen, pool: Pool) -> None:
    page = (await desk_screen.open(f"{REPORTS}?from=2026-10-26&to=2026-11-01")).text
    assert "Robin" not in page
    assert "style=" not in page
    widths = {
        label: int(width)
        for label, width in re.findall(
            r'chart-label"[^>]*>([^<]+)</text>\s*<rect class="chart-bar chart-main"[^>]*? width="(\d+)"', page
        )
    }
    assert widths["4 to 6 days"] == 220
    assert widths["The same day"] == round(220 / 3)
    assert widths["14 to 27 days"] == 1, "nothing is a line, to be seen"
    await file(desk_screen, "lead-times")
    assert (
        await pool.fetchval("select details ->> 'table' from audit_events where action = 'report.exported'")
        == "lead-times"
    )


async def test_a_period_without_visits_and_a_table_that_is_none_are_told_plainly(desk_screen: Screen) -> None:
    page = await desk_screen.open(f"{REPORTS}?from=2030-01-01&to=2030-01-02")
    assert page.status_code == 200
    assert "Nothing to count in this time." in page.text
    assert (await desk_screen.open(f"{REPORTS}/salaries.csv")).status_code == 404
    told = await desk_screen.open(f"{REPORTS}?from=2026-01-01&to=2027-12-31")
    assert (told.status_code, "Ask for 400 days at most." in told.text) == (422, True)


async def test_therapists_see_no_reports_of_each_other(
    app: Litestar, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    async with signed_in(app, pool, clinic, settings, "therapist") as screen:
        assert (await screen.open(REPORTS)).status_code == 403
        assert (await screen.open(f"{REPORTS}/attendance.csv")).status_code == 403
