"""The pages that this installation serves."""

from typing import Any

from litestar import Response, Router, get
from litestar.di import Provide

from scheduler.settings import Settings
from scheduler.web.pages.booked import BOOKED
from scheduler.web.pages.booking import BOOKING
from scheduler.web.pages.call_back import CALL_BACK
from scheduler.web.pages.details import DETAILS
from scheduler.web.pages.docs import DOCUMENTATION
from scheduler.web.pages.manage import MANAGE
from scheduler.web.pages.notices import NOTICES
from scheduler.web.pages.preview import is_previewing, show_messages
from scheduler.web.pages.render import provide_pool, provide_visitor, see_other
from scheduler.web.pages.unsubscribe import UNSUBSCRIBE


@get("/")
async def start() -> Response[Any]:
    """Whoever asks for nothing wants to book."""
    return see_other("/book")


def page_handlers(settings: Settings) -> list[Any]:
    """Return the handlers of all pages; they are no part of the API, so no part of its document."""
    return [
        Router(
            path="/",
            route_handlers=[
                start,
                *BOOKING,
                *DETAILS,
                *BOOKED,
                *CALL_BACK,
                MANAGE,
                *UNSUBSCRIBE,
                *NOTICES,
                *DOCUMENTATION,
                *([show_messages] if is_previewing(settings) else []),
            ],
            dependencies={
                "visitor": Provide(provide_visitor, sync_to_thread=False),
                "pool": Provide(provide_pool, sync_to_thread=False),
            },
            include_in_schema=False,
        )
    ]
