"""Who works when: weekly hours, overrides, time off and closures."""

from litestar import Controller


class ScheduleController(Controller):
    """For the front desk's keys."""

    path = "/api/v1"
    tags = ["Schedule"]  # noqa: RUF012 - Litestar reads it from the class
