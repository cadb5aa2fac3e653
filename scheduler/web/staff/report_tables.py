"""The tables of a report: what each is called, what it counts, its chart, and its cells for a page and for a file."""

from collections.abc import Callable, Sequence

import msgspec

from scheduler.domain.clinics import Clinic
from scheduler.domain.reports import LEAD_DAYS, Attendance, Report, total
from scheduler.web.staff.charts import Bar, Chart, bar_chart
from scheduler.web.staff.tables import Cell

_CHANNELS = {"sms": "text", "email": "email"}
_HOUR = 60


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table with its chart. ``rows`` are for a file; ``shown`` are the same as a person reads them, label first.

    ``last_is_total`` is whether the last row adds up the others.
    """

    name: str
    title: str
    meaning: str
    headings: tuple[str, ...]
    rows: list[list[Cell]]
    chart: Chart
    legend: str = ""
    last_is_total: bool = False

    @property
    def shown(self) -> list[list[str]]:
        return [[str(row[0]), *map(_shown, row[1:])] for row in self.rows]


def _shown(cell: Cell) -> str:
    """Return a cell as it is read: a fraction as a percentage, nothing as a dash."""
    if cell is None:
        return "–"
    return percent(cell) if isinstance(cell, float) else str(cell)


def percent(fraction: float) -> str:
    """As in "93%", or "0.4%" where a whole number would say nothing."""
    hundred = fraction * 100
    return f"{hundred:.1f}%" if 0 < hundred < 1 else f"{hundred:.0f}%"


def _hours(minutes: int) -> str:
    return f"{minutes // _HOUR}:{minutes % _HOUR:02}"


def _who(clinic: Clinic, row: Attendance) -> str:
    therapist = clinic.therapists_by_id.get(row.therapist_id)
    return therapist.display_name if therapist else "Somebody who has left"


def _utilisation(report: Report, clinic: Clinic) -> Table:
    names = {
        one.therapist_id: known.display_name if (known := clinic.therapists_by_id.get(one.therapist_id)) else "Left"
        for one in report.utilisation
    }
    return Table(
        name="utilisation",
        title="Use of working time",
        meaning="Hours with a visit in them, of the hours that somebody worked: their hours, less closures and time "
        "off. Above 100% where visits were squeezed in.",
        headings=("Therapist", "Worked", "Booked", "Patients came", "Booked of worked"),
        rows=[
            [
                names[one.therapist_id],
                _hours(one.working_minutes),
                _hours(one.booked_minutes),
                _hours(one.attended_minutes),
                one.rate,
            ]
            for one in report.utilisation
        ],
        chart=bar_chart(
            [
                (names[one.therapist_id], [Bar(one.rate or 0, "no hours" if one.rate is None else percent(one.rate))])
                for one in report.utilisation
            ],
            limit=1.0,
        ),
        legend="The line is all of the working time.",
    )


def _attendance(report: Report, clinic: Clinic) -> Table:
    rows = [*report.attendance, total(report.attendance)]
    return Table(
        name="attendance",
        title="Who came",
        meaning="Missed and canceled late, of the visits that a place was kept for: those that patients came to, "
        "missed, or canceled later than they may online. Visits that are over and not marked are counted nowhere else.",
        headings=(
            "Therapist",
            "Came",
            "Missed",
            "Canceled late",
            "Canceled in time",
            "Not marked",
            "To come",
            "Missed, of due",
            "Late, of due",
        ),
        rows=[
            [
                _who(clinic, one) if place < len(report.attendance) else "Everybody",
                one.attended,
                one.no_show,
                one.cancelled_late,
                one.cancelled,
                one.unmarked,
                one.to_come,
                one.no_show_rate,
                one.late_rate,
            ]
            for place, one in enumerate(rows)
        ],
        chart=bar_chart(
            [
                (
                    _who(clinic, one) if place < len(report.attendance) else "Everybody",
                    [
                        Bar(one.no_show_rate or 0, f"{_shown(one.no_show_rate)} missed", "red"),
                        Bar(one.late_rate or 0, f"{_shown(one.late_rate)} canceled late", "amber"),
                    ],
                )
                for place, one in enumerate(rows)
            ]
        ),
        last_is_total=True,
    )


def _confirmations(report: Report, _: Clinic) -> Table:
    def said(lead_minutes: int) -> str:
        hours = lead_minutes // _HOUR
        days, rest = divmod(hours, 24)
        return f"{days} days before" if days > 1 and not rest else f"{hours} hours before"

    labels = [f"{said(one.lead_minutes)}, by {_CHANNELS[one.channel]}" for one in report.confirmations]
    return Table(
        name="confirmations",
        title="What reminders lead to",
        meaning="Visits that were confirmed after a reminder and before the next one, of those not confirmed when it "
        f"went out. {report.confirmed_unasked} more were confirmed before any reminder.",
        headings=("Reminder", "Sent", "Confirmed then", "Confirmed of sent"),
        rows=[
            [label, one.sent, one.confirmed, one.rate] for label, one in zip(labels, report.confirmations, strict=True)
        ],
        chart=bar_chart(
            [
                (label, [Bar(one.rate or 0, _shown(one.rate))])
                for label, one in zip(labels, report.confirmations, strict=True)
            ]
        ),
    )


def _lead_times(report: Report, _: Clinic) -> Table:
    def label(days: int) -> str:
        later = [edge for edge in LEAD_DAYS if edge > days]
        if days == 0:
            return "The same day"
        last = later[0] - 1 if later else None
        span = f"{days}" if last == days else f"{days} to {last}" if last else f"{days} or more"
        return f"{span} day{'' if span == '1' else 's'}"

    median = report.median_lead_days
    half = "" if median is None else f" Half of them were booked {median:g} days ahead or less."
    return Table(
        name="lead-times",
        title="How long ahead visits are booked",
        meaning=f"Days from the booking to the visit, whatever became of it.{half}",
        headings=("Ahead", "Booked online", "By the desk", "Together"),
        rows=[[label(one.days), one.online, one.desk, one.visits] for one in report.lead_times],
        chart=bar_chart([(label(one.days), [Bar(one.visits, str(one.visits))]) for one in report.lead_times]),
    )


_TABLES: tuple[Callable[[Report, Clinic], Table], ...] = (_utilisation, _attendance, _confirmations, _lead_times)


def tables_of(report: Report, clinic: Clinic) -> Sequence[Table]:
    """Return every table of a report, in the order in which they are shown."""
    return [make(report, clinic) for make in _TABLES]
