"""The private link in what is told of a visit, for those who book it or may change it anyway."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response

from scheduler.domain.links import manage_url
from scheduler.services.links import find_manage_urls
from scheduler.settings import Settings
from scheduler.store.connections import Connection
from scheduler.web.api.visit_bodies import VisitAnswer
from scheduler.web.callers import Caller
from scheduler.web.idempotency import Posting


async def with_links(
    connection: Connection, caller: Caller, answers: Sequence[VisitAnswer], settings: Settings
) -> list[VisitAnswer]:
    """Return the answers with their links, or as they are for a key that may only read visits."""
    if not caller.public and caller.scopes is not None and caller.scopes.isdisjoint({"visits:write", "admin"}):
        return list(answers)
    urls = await find_manage_urls(
        connection, caller.clinic, [answer.id for answer in answers],
        secret_key=settings.secret_key, base_url=settings.public_base_url,
    )  # fmt: skip
    return [msgspec.structs.replace(answer, manage_url=urls.get(answer.id)) for answer in answers]


async def tell_link(
    posting: Posting, response: Response[Any], *, generation: int | None = None
) -> Response[VisitAnswer]:
    """Add the link to the answer to a change, which is kept without it where there is an Idempotency-Key.

    ``generation`` is the link's, where it is known.
    """
    content = response.content
    answer = content if isinstance(content, VisitAnswer) else msgspec.json.decode(content, type=VisitAnswer)
    settings = posting.request.app.state.settings
    if generation is None:
        response.content = (await with_links(posting.connection, posting.caller, [answer], settings))[0]
    else:
        url = manage_url(settings.secret_key, settings.public_base_url, posting.caller.clinic.id, answer.id, generation)
        response.content = msgspec.structs.replace(answer, manage_url=url)
    return response
