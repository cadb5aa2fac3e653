"""Subscriptions of other software to what happens here."""

from litestar import Controller


class WebhookController(Controller):
    """For keys of administrators."""

    path = "/api/v1/webhooks"
    tags = ["Webhooks"]  # noqa: RUF012 - Litestar reads it from the class
