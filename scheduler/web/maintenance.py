"""What answers while the service is stopped on purpose: every page says so, without a database."""

from typing import Any
from uuid import UUID

from litestar import Response, get, route
from litestar.datastructures import State

from scheduler.domain.clinic_files import ClinicFile
from scheduler.domain.clinics import Clinic
from scheduler.errors import UnderMaintenance
from scheduler.services.directory import Directory
from scheduler.services.live import LiveBoards
from scheduler.settings import Settings
from scheduler.web.application import Application
from scheduler.web.headers import stamp
from scheduler.web.problems import on_error
from scheduler.web.requests import BODY_LIMIT
from scheduler.web.static import static_files

# Whoever asks again by itself need not ask more often.
RETRY_SECONDS = 300


def create_maintenance_app(settings: Settings, files: list[ClinicFile]) -> Application:
    """Return what serves in place of the application, for the clinics of these files."""
    return Application(
        route_handlers=[answer_health, refuse, static_files()],
        state=State(
            {
                "settings": settings,
                "directory": Directory([_clinic(file) for file in files]),
                # Nobody looks at a board now; whoever stops the server closes them.
                "boards": LiveBoards(),
            }
        ),
        exception_handlers={Exception: on_error},
        before_send=[stamp],
        request_max_body_size=BODY_LIMIT,
        openapi_config=None,
        logging_config=None,
    )


@get(["/health/live", "/health/ready"])
async def answer_health() -> dict[str, str]:
    """Say that requests may come here, so that a load balancer lets people see the page."""
    return {"status": "maintenance"}


@route(["/", "/{path:path}"], http_method=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def refuse() -> Response[Any]:
    """Do nothing for anybody, and say so."""
    raise UnderMaintenance(retry_after_seconds=RETRY_SECONDS)


def _clinic(file: ClinicFile) -> Clinic:
    """Return a clinic of which nothing is known but what its file says of it."""
    return Clinic(
        id=UUID(int=0), code=file.code, timezone=file.timezone, settings=file.settings, visit_types={}, therapists={},
        rooms={}, equipment={},
    )  # fmt: skip
