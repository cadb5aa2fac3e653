"""Health and metrics, for load balancers and people on call."""

from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from litestar import Controller, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec

from scheduler.errors import Unauthorized
from scheduler.services.gauges import read_gauges
from scheduler.services.health import Check, readiness
from scheduler.settings.forms import is_loopback
from scheduler.store.connections import Pool
from scheduler.web.callers import FromCaller
from scheduler.web.metrics import Latencies, expose
from scheduler.web.problem_docs import EITHER, PROBLEMS


class Liveness(msgspec.Struct, frozen=True):
    """``status`` is ``alive``: a process that is not does not answer."""

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
        """Say that the process answers; nothing else is looked at."""
        return Liveness("alive")

    @get("/ready", operation_id="getReadiness", summary="The service can do its work; 503 names what fails",
         responses={503: ResponseSpec(Readiness, description="A check fails; each says what is wrong",
                                      generate_examples=False)})  # fmt: skip
    async def ready(self, state: State) -> Response[Readiness]:
        """Check the database and its schema, that a worker lives, that no message is overdue and none forgotten."""
        checks = await readiness(cast("Pool", state.pool))
        healthy = all(check.ok for check in checks)
        answer = Readiness("ready" if healthy else "not-ready", checks)
        return Response(answer, status_code=200 if healthy else 503)


@get("/metrics", operation_id="getMetrics", summary="Numbers for a Prometheus", tags=["Operations"], security=EITHER,
     media_type="text/plain", responses=PROBLEMS())  # fmt: skip
async def show_metrics(request: Request[Any, Any, State], caller: FromCaller, state: State) -> Response[bytes]:
    """Tell in Prometheus' text format how long answers took, and how the outbox, the worker and the pool stand.

    For this machine alone, and for any key. Latencies are those of the one web process that answers; where there are
    several, each is to be scraped by itself. All else is the same whichever answers.
    """
    if caller.public and not _is_local(request):
        raise Unauthorized("Send an API key: Authorization: Bearer <key>.")
    pool = cast("Pool", state.pool)
    body = expose(cast("Latencies", state.latencies), pool, await read_gauges(pool))
    return Response(body, media_type="text/plain; version=0.0.4")


def _is_local(request: Request[Any, Any, State]) -> bool:
    """Return whether the caller is on this machine, and not a proxy on it that speaks for somebody else."""
    forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    asked = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return not forwarded and is_loopback(asked) and is_loopback(request.client.host if request.client else "")
