"""Two pages that explain: what is kept and who sees it, and what somebody agrees to who asks for texts."""

from litestar import Response, get
from litestar.di import NamedDependency

from scheduler.web.pages.notice_words import NOTICE_WORDS
from scheduler.web.pages.render import Visitor, page

FromVisitor = NamedDependency[Visitor]


@get("/privacy")
async def show_privacy(visitor: FromVisitor) -> Response[str]:
    """What is kept of a visitor, and who sees it."""
    return _notice(visitor, "privacy")


@get("/text-terms")
async def show_text_terms(visitor: FromVisitor) -> Response[str]:
    """What somebody agrees to who asks for texts."""
    return _notice(visitor, "terms")


def _notice(visitor: Visitor, notice: str) -> Response[str]:
    """Return a notice: its parts are those that have a heading, in the order of the words."""
    headings = (key.split(".") for key in NOTICE_WORDS if key.startswith(f"{notice}.") and key.endswith(".h"))
    return page(visitor, "notice.html", notice=notice, parts=[part for _, part, _ in headings])


NOTICES = [show_privacy, show_text_terms]
