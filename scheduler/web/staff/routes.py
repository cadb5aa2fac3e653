"""All pages below /staff. ``STAFF`` is behind the sign-in; a new page's handlers go into its list."""

from litestar import Router
from litestar.di import Provide

from scheduler.web.pages.render import provide_pool
from scheduler.web.staff.absences import ABSENCE_PAGES
from scheduler.web.staff.account import ACCOUNT_PAGES
from scheduler.web.staff.audit import AUDIT_PAGES
from scheduler.web.staff.day import DAY_PAGES
from scheduler.web.staff.errors import on_staff_error
from scheduler.web.staff.home import go_home
from scheduler.web.staff.lists import LIST_PAGES
from scheduler.web.staff.live import LIVE_PAGES
from scheduler.web.staff.merges import MERGES
from scheduler.web.staff.messages import MESSAGE_PAGES
from scheduler.web.staff.new_visits import BOOKING_PAGES
from scheduler.web.staff.ops import OPS_PAGES
from scheduler.web.staff.patient_forms import PATIENT_FORMS
from scheduler.web.staff.patients import PATIENT_PAGES
from scheduler.web.staff.reports import REPORT_PAGES
from scheduler.web.staff.session import guard_staff, provide_staff
from scheduler.web.staff.signing import SIGNING, leave, set_preferences
from scheduler.web.staff.visit_actions import VISIT_PAGES

_POOL = Provide(provide_pool, sync_to_thread=False)

STAFF = Router(
    path="/staff",
    route_handlers=[
        go_home,
        leave,
        set_preferences,
        *ACCOUNT_PAGES,
        *AUDIT_PAGES,
        *MESSAGE_PAGES,
        *OPS_PAGES,
        *DAY_PAGES,
        *LIVE_PAGES,
        *LIST_PAGES,
        *VISIT_PAGES,
        *BOOKING_PAGES,
        *ABSENCE_PAGES,
        *PATIENT_PAGES,
        *PATIENT_FORMS,
        *MERGES,
        *REPORT_PAGES,
    ],
    guards=[guard_staff],
    dependencies={"pool": _POOL, "staff": Provide(provide_staff)},
    exception_handlers={Exception: on_staff_error},
    include_in_schema=False,
)

DOORS = Router(
    path="/",
    route_handlers=SIGNING,
    dependencies={"pool": _POOL},
    exception_handlers={Exception: on_staff_error},
    include_in_schema=False,
)

STAFF_PAGES = [STAFF, DOORS]
