"""The pages that this installation serves."""

from typing import Any

from scheduler.settings import Settings


def page_handlers(settings: Settings) -> list[Any]:
    """Return the handlers of all pages."""
    return []
