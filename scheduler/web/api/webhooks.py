"""Subscriptions of other software to what happens here."""

from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from scheduler.domain.webhooks import DeliveryState
from scheduler.errors import WebhookPaused
from scheduler.services import webhooks as services
from scheduler.services.webhooks import WebhookChange, reach_of, secret_for
from scheduler.settings import Settings
from scheduler.store.connections import Connection
from scheduler.web.api.webhook_bodies import (
    DeliveryAnswer,
    DeliveryPage,
    WebhookAnswer,
    WebhookBody,
    WebhookChangeBody,
    WebhookPage,
    WebhookWithSecret,
    delivery_answer,
    webhook_answer,
)
from scheduler.web.callers import Caller, FromCaller, FromNow
from scheduler.web.idempotency import FromPosting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import Problems, read_uuid

FromConnection = NamedDependency[Connection]


class WebhookController(Controller):
    """For keys of administrators."""

    path = "/api/v1/webhooks"
    tags = ["Webhooks"]  # noqa: RUF012 - Litestar reads it from the class

    @post(operation_id="createWebhook", summary="Tell an address what happens here",
          responses=PROBLEMS(403))  # fmt: skip
    async def create(
        self, posting: FromPosting, state: State, data: JSONBody[WebhookBody]
    ) -> Response[WebhookWithSecret]:
        """Subscribe to events. The answer holds the secret that signs every delivery; it is not told again."""
        caller, settings = posting.caller, cast("Settings", state.settings)
        caller.require("admin")

        async def produce() -> Response[WebhookAnswer]:
            webhook = await services.subscribe(
                posting.connection, caller.clinic, url=data.url, events=data.events, description=data.description,
                reach=reach_of(settings), actor=caller.actor,
            )  # fmt: skip
            headers = {"Location": f"/api/v1/webhooks/{webhook.id}"}
            return Response(webhook_answer(caller.clinic, webhook), status_code=201, headers=headers)

        return _with_secret(await answer_once(posting, produce), caller, settings)

    @get(operation_id="listWebhooks", summary="Webhooks, newest first", responses=PROBLEMS(403))
    async def index(
        self,
        connection: FromConnection,
        caller: FromCaller,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> WebhookPage:
        """List the subscriptions of the clinic, without their secrets."""
        caller.require("admin")
        found, more = await services.list_webhooks(connection, caller.clinic, after=_after(cursor), limit=limit)
        return WebhookPage(
            items=[webhook_answer(caller.clinic, webhook) for webhook in found],
            next_cursor=str(found[-1].id) if more else None,
        )

    @get("/{webhook_id:uuid}", operation_id="getWebhook", summary="A webhook", responses=PROBLEMS(403))
    async def show(self, connection: FromConnection, caller: FromCaller, webhook_id: FromPath[UUID]) -> WebhookAnswer:
        """Read a subscription, and why it is paused where it is."""
        caller.require("admin")
        return webhook_answer(caller.clinic, await services.find_webhook(connection, caller.clinic, webhook_id))

    @patch("/{webhook_id:uuid}", operation_id="changeWebhook", summary="Change, pause or resume a webhook",
           responses=PROBLEMS(403))  # fmt: skip
    async def change(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        state: State,
        webhook_id: FromPath[UUID],
        data: JSONBody[WebhookChangeBody],
    ) -> WebhookAnswer:
        """Change what is given. What is due while it is paused waits; what happens meanwhile is not told later."""
        caller.require("admin")
        wanted = WebhookChange(url=data.url, events=data.events, description=data.description, paused=data.paused)
        webhook = await services.change(
            connection, caller.clinic, webhook_id, wanted,
            reach=reach_of(cast("Settings", state.settings)), actor=caller.actor, now=now,
        )  # fmt: skip
        return webhook_answer(caller.clinic, webhook)

    @delete("/{webhook_id:uuid}", operation_id="removeWebhook", summary="Remove a webhook",
            responses=PROBLEMS(403))  # fmt: skip
    async def remove(self, connection: FromConnection, caller: FromCaller, webhook_id: FromPath[UUID]) -> None:
        """Tell this address nothing more; what it was still to be told is cancelled."""
        caller.require("admin")
        await services.unsubscribe(connection, caller.clinic, webhook_id, actor=caller.actor)

    @post("/{webhook_id:uuid}/secret/rotate", operation_id="rotateWebhookSecret", summary="A new secret for a webhook",
          status_code=200, responses=PROBLEMS(403))  # fmt: skip
    async def rotate(
        self, posting: FromPosting, state: State, webhook_id: FromPath[UUID]
    ) -> Response[WebhookWithSecret]:
        """Make a new secret. For 24 hours the one before signs every delivery as well."""
        caller = posting.caller
        caller.require("admin")

        async def produce() -> Response[WebhookAnswer]:
            webhook = await services.rotate(
                posting.connection, caller.clinic, webhook_id, actor=caller.actor, now=posting.now
            )
            return Response(webhook_answer(caller.clinic, webhook), status_code=200)

        return _with_secret(await answer_once(posting, produce), caller, cast("Settings", state.settings))

    @post("/{webhook_id:uuid}/test", operation_id="testWebhook", summary="Send a webhook an event that means nothing",
          status_code=202, responses=PROBLEMS(403, WebhookPaused))  # fmt: skip
    async def test(self, posting: FromPosting, webhook_id: FromPath[UUID]) -> Response[DeliveryAnswer]:
        """Send a `webhook.test`. The list of deliveries says what became of it."""
        caller = posting.caller
        caller.require("admin")

        async def produce() -> Response[DeliveryAnswer]:
            delivery = await services.send_test(posting.connection, caller.clinic, webhook_id, actor=caller.actor)
            return Response(delivery_answer(caller.clinic, delivery), status_code=202)

        return await answer_once(posting, produce)

    @get("/{webhook_id:uuid}/deliveries", operation_id="listDeliveries", summary="Deliveries, newest first",
         responses=PROBLEMS(403))  # fmt: skip
    async def deliveries(
        self,
        connection: FromConnection,
        caller: FromCaller,
        webhook_id: FromPath[UUID],
        status: FromQuery[DeliveryState | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> DeliveryPage:
        """List what a webhook was told within the last thirty days, and what it is still to be told."""
        caller.require("admin")
        found, more = await services.list_deliveries(
            connection, caller.clinic, webhook_id, state=status, after=_after(cursor), limit=limit
        )
        return DeliveryPage(
            items=[delivery_answer(caller.clinic, delivery) for delivery in found],
            next_cursor=str(found[-1].id) if more else None,
        )

    @post("/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/redeliver", operation_id="redeliver",
          summary="Send a delivery again", status_code=202,
          responses=PROBLEMS(403, WebhookPaused))  # fmt: skip
    async def redeliver(
        self, posting: FromPosting, webhook_id: FromPath[UUID], delivery_id: FromPath[UUID]
    ) -> Response[DeliveryAnswer]:
        """Send a delivery again, whatever became of it, under the same id and with all its attempts before it."""
        caller = posting.caller
        caller.require("admin")

        async def produce() -> Response[DeliveryAnswer]:
            delivery = await services.redeliver(
                posting.connection, caller.clinic, webhook_id, delivery_id, actor=caller.actor
            )
            return Response(delivery_answer(caller.clinic, delivery), status_code=202)

        return await answer_once(posting, produce)


def _after(cursor: str | None) -> UUID | None:
    problems = Problems()
    after = read_uuid(cursor, "?cursor", problems) if cursor is not None else None
    problems.settle()
    return after


def _with_secret(response: Response[Any], caller: Caller, settings: Settings) -> Response[WebhookWithSecret]:
    """Add the secret to an answer about a webhook: after the answer was kept for a retry, which must not hold it."""
    content = response.content
    webhook = msgspec.json.decode(content, type=WebhookAnswer) if isinstance(content, bytes) else content
    secret = secret_for(settings, caller.clinic, webhook.id, webhook.generation)
    headers = {name: str(value) for name, value in response.headers.items()}
    return Response(
        WebhookWithSecret(webhook=webhook, secret=secret), status_code=response.status_code, headers=headers
    )
