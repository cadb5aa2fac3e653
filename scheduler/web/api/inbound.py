"""What patients wrote back, for a person to see to."""

from litestar import Controller


class InboundController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/inbound"
    tags = ["Messages"]  # noqa: RUF012 - Litestar reads it from the class
