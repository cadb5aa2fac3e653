"""Health, for load balancers and people on call."""

from typing import cast

import msgspec
from litestar import Controller, Response, get
from litestar.datastructures import State

from scheduler.services.health import Check, readiness
from scheduler.store.connections import Pool


class Liveness(msgspec.Struct, frozen=True):
    status: str


class Readiness(msgspec.Struct, frozen=True):
    """``status`` is ``ready`` or ``not-ready``; the checks say why."""

    status: str
    checks: list[Check]


class HealthController(Controller):
    path = "/health"
    tags = ["Operations"]  # noqa: RUF012 - Litestar reads it from the class

    @get("/live", operation_id="getLiveness", summary="The process answers")
    async def live(self) -> Liveness:
        return Liveness("alive")

    @get("/ready", operation_id="getReadiness", summary="The service can do its work; 503 names what fails")
    async def ready(self, state: State) -> Response[Readiness]:
        checks = await readiness(cast("Pool", state.pool))
        healthy = all(check.ok for check in checks)
        answer = Readiness("ready" if healthy else "not-ready", checks)
        return Response(answer, status_code=200 if healthy else 503)
