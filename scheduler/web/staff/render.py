"""Pages of the staff, made from templates below ``templates/staff``."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import Role, initials_of
from scheduler.web.pages.render import render_template
from scheduler.web.staff.session import StaffMember
from scheduler.web.static import versioned


class Place(msgspec.Struct, frozen=True):
    """An entry of the top bar: ``section`` is what its pages call themselves, ``roles`` who sees it."""

    section: str
    label: str
    address: str
    roles: tuple[Role, ...]


NAVIGATION = (
    Place("day", "Day", "/staff", ("desk", "therapist", "admin")),
    Place("messages", "Messages", "/staff/messages", ("desk", "therapist", "admin")),
    Place("ops", "Health", "/staff/ops", ("desk", "therapist", "admin")),
    Place("patients", "Patients", "/staff/patients", ("desk", "admin")),
    Place("reports", "Reports", "/staff/reports", ("desk", "admin")),
    Place("audit", "Audit", "/staff/audit", ("admin",)),
)


def stylesheet_with(*names: str) -> str:
    """Return the address of what styles a page, as one file, because a browser waits for each that it asks for."""
    return versioned("site.css", "staff.css", *names)


_STYLESHEET = stylesheet_with()

# For the pages of patients, the audit and reports.
RECORDS_STYLESHEET = stylesheet_with("records.css")

# For pages that keep themselves up to date; every page does what it is for without it.
HTMX = versioned("vendor/htmx.min.js")


def staff_page(
    staff: StaffMember,
    template: str,
    *,
    title: str,
    section: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response[str]:
    """Return a page, or a part of one, for who is signed in.

    ``title`` never holds a patient's name; ``section`` marks the place in the top bar.
    """
    places = [one for one in NAVIGATION if staff.role in one.roles]
    context |= {"staff": staff, "places": places, "title": title, "section": section, "shown_name": shown_name}
    return _page(staff.clinic, template, context, status=status, headers=headers)


def door_page(
    clinic: Clinic,
    template: str,
    *,
    title: str,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response[str]:
    """Return a page for whoever is not signed in, without any navigation."""
    context |= {"staff": None, "title": title, "section": ""}
    return _page(clinic, template, context, status=status, cookies=cookies, headers=headers)


def _page(
    clinic: Clinic,
    template: str,
    context: dict[str, Any],
    *,
    status: int,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None,
) -> Response[str]:
    brand, _, place = clinic.settings.name.partition(", ")
    context = {"staff_stylesheet": _STYLESHEET} | context
    text = render_template(template, clinic=clinic, brand=brand, place=place, **context)
    return Response(text, status_code=status, media_type="text/html", cookies=list(cookies), headers=headers)


def shown_name(staff: StaffMember, given_name: str, family_name: str) -> str:
    """Return a patient's name as this person's screen is to show it: in full, or as initials where names are hidden."""
    return initials_of(f"{given_name} {family_name}") if staff.hide_names else f"{given_name} {family_name}"


def today(clinic: Clinic, now: datetime) -> str:
    """Return the clinic's date, as addresses have it."""
    return clinic.local(now).date().isoformat()
