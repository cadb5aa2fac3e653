"""Reports: how a period was, as charts with the same numbers in a table beside each, and as files."""

from collections.abc import AsyncIterator
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from scheduler.domain.reports import LONGEST_DAYS
from scheduler.errors import NotFound
from scheduler.services.reports import note_export, read_report
from scheduler.store.connections import Pool
from scheduler.store.units import reading, unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages import dates
from scheduler.web.pages.render import PageRequest, see_other
from scheduler.web.staff.periods import read_period, usual_periods
from scheduler.web.staff.render import RECORDS_STYLESHEET, staff_page
from scheduler.web.staff.report_tables import tables_of
from scheduler.web.staff.session import FromStaff, roles
from scheduler.web.staff.tables import Cell, csv_file

FromPool = NamedDependency[Pool]

REPORTS = "/staff/reports"
USUAL_DAYS = 28

_INVALID = 422


@get("/reports", guards=[roles("desk", "admin")])
async def show_reports(request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow) -> Response[str]:
    """Show what the visits of a period were like."""
    clinic, today = staff.clinic, staff.clinic.local(now).date()
    period = read_period(request.query_params, today=today, days=USUAL_DAYS, longest=LONGEST_DAYS)
    async with reading(pool) as connection:
        report = await read_report(connection, clinic, period.starts(clinic), period.ends(clinic), now=now)
    return staff_page(
        staff,
        "staff/reports.html",
        title="Error: Reports" if period.problems else "Reports",
        section="reports",
        status=_INVALID if period.problems else 200,
        staff_stylesheet=RECORDS_STYLESHEET,
        period=period,
        periods=usual_periods(REPORTS, request.query_params, today=today),
        first=dates.long_day(period.first, "en"),
        last=dates.long_day(period.last, "en"),
        tables=tables_of(report, clinic),
        query=period.query(),
    )


@get("/reports/{table:str}", guards=[roles("desk", "admin")])
async def export_table(
    request: PageRequest, staff: FromStaff, pool: FromPool, now: FromNow, table: FromPath[str]
) -> Response[Any] | Stream:
    """Give out one table as a file (``.csv`` after its name), of which a row tells. Raises NotFound."""
    clinic, name = staff.clinic, table.removesuffix(".csv")
    period = read_period(request.query_params, today=clinic.local(now).date(), days=USUAL_DAYS, longest=LONGEST_DAYS)
    if period.problems:
        return see_other(f"{REPORTS}?{period.query()}")
    async with unit_of_work(pool) as connection:
        report = await read_report(connection, clinic, period.starts(clinic), period.ends(clinic), now=now)
        found = next((one for one in tables_of(report, clinic) if one.name == name), None)
        if found is None:
            raise NotFound
        await note_export(connection, clinic, name, period.first, period.last, actor=staff.actor)

    async def rows() -> AsyncIterator[list[Cell]]:
        for row in found.rows:
            yield [round(cell, 4) if isinstance(cell, float) else cell for cell in row]

    return csv_file(f"{name}-{period.first}-{period.last}", found.headings, rows())


REPORT_PAGES = [show_reports, export_table]
