"""What a private link shows: the visit, the question before it is cancelled, and the times to which it can move."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from litestar import Response

from scheduler.domain.clinics import LANGUAGES
from scheduler.domain.own_visits import OwnAction
from scheduler.errors import NotFound, PlacementRefused, SlotTaken
from scheduler.services.own_visits import OwnVisit
from scheduler.store.connections import Pool
from scheduler.store.units import reading
from scheduler.web.pages import dates
from scheduler.web.pages.patients import Typed
from scheduler.web.pages.render import Visitor, page
from scheduler.web.pages.times import Wish, find_times, read_wish, times_url
from scheduler.web.pages.views import CONFLICT, nearest_day, refusal_words
from scheduler.web.pages.words import WORDS

FORBIDDEN = 403

_HOUR = 60

# What is said where a form has just done something, if the visit is still so.
_DID = {
    "confirmed": "visit.did.confirmed",
    "moved": "visit.did.moved",
    "cancelled": "visit.did.cancelled",
    "kept": "visit.did.kept",
    "saved": "visit.did.saved",
}

# What is said of each stage of a visit; one that is ahead says whether it is confirmed. Then how its sign looks.
_STAGES = {
    "booked": ("visit.booked", "clock", "tag-amber"),
    "confirmed": ("visit.confirmed", "check", ""),
    "arrived": ("visit.arrived", "check", ""),
    "begun": ("visit.begun", "clock", ""),
    "over": ("visit.over", "check", "tag-off"),
    "missed": ("visit.missed", "info", "tag-off"),
    "cancelled": ("visit.cancelled", "cross", "tag-off"),
}

# The reasons that may be given for cancelling, in the order in which they are offered.
_REASONS = {
    "time": "cancel.why.time",
    "travel": "cancel.why.travel",
    "need": "cancel.why.need",
    "other": "cancel.why.other",
}


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A private link that opened: to which visit, for whom, and the key that its forms carry."""

    token: str
    key: str
    visitor: Visitor
    own: OwnVisit

    @property
    def url(self) -> str:
        return f"/m/{self.token}"

    def may(self, action: OwnAction) -> bool:
        return action in self.own.outlook.may


def visit_page(
    link: Link,
    *,
    status: int = 200,
    did: str | None = None,
    notice: str | None = None,
    others: Sequence[tuple[datetime, str]] = (),
) -> Response[str]:
    """Return the visit as it stands. ``did`` is what was just done here, ``notice`` why something was not.

    ``others`` are the starts of the patient's other visits to come, each with its own link.
    """
    own, visitor = link.own, link.visitor
    outlook, clinic, language = own.outlook, own.clinic, visitor.language
    words, symbol, look = _STAGES[own.visit.status if outlook.stage == "ahead" else outlook.stage]
    return page(
        visitor,
        "manage.html",
        status=status,
        here=link.url,
        link=link,
        own=own,
        outlook=outlook,
        starts_at=clinic.local(own.visit.starts_at),
        minutes=int((own.visit.ends_at - own.visit.starts_at).total_seconds() // 60),
        sign=visitor.say(words),
        symbol=symbol,
        look=look,
        late=_late(link) if outlook.late else None,
        was=dates.when(clinic.local(outlook.was), language) if outlook.was else None,
        did=_did(link, did) if did else None,
        notice=visitor.say(notice) if notice else None,
        languages=[(one, WORDS["language"][LANGUAGES.index(one)]) for one in clinic.settings.languages],
        others=[(dates.sentence(dates.when(moment, language)), url) for moment, url in others],
        grace_until=_clock(link, outlook.grace_until),
        undo_until=_clock(link, outlook.undo_until),
    )


def cancel_page(link: Link) -> Response[str]:
    """Return the question whether the visit is to be cancelled."""
    return page(
        link.visitor,
        "manage_cancel.html",
        here=f"{link.url}/cancel",
        link=link,
        own=link.own,
        starts_at=link.own.clinic.local(link.own.visit.starts_at),
        minutes=int((link.own.visit.ends_at - link.own.visit.starts_at).total_seconds() // 60),
        reasons=[(code, link.visitor.say(words)) for code, words in _REASONS.items()],
    )


def link_wish(link: Link, query: dict[str, str]) -> Wish:
    """Return what an address or a form says about when and with whom. Raises NotFound for a visit no longer offered."""
    visit_type = link.own.visit_type
    if visit_type is None:
        raise NotFound
    return read_wish(query, link.own.clinic, visit_type, moving=link.own.visit, page=f"{link.url}/move")


async def move_page(
    link: Link, pool: Pool, wish: Wish, *, now: datetime, refused: tuple[datetime, PlacementRefused] | None = None
) -> Response[str]:
    """Return the times to which the visit can move; after a refusal those near the start that could not be had."""
    own, visitor, visit_type = link.own, link.visitor, link.own.visit_type
    assert visit_type is not None  # noqa: S101 - there would be no wish
    taken, refusal = None, None
    if refused is not None:
        lost = own.clinic.local(refused[0])
        wish = msgspec.structs.replace(wish, day=nearest_day(lost, refused[1]))
        taken = lost if isinstance(refused[1], SlotTaken) else None
        refusal = refusal_words(visitor, lost, wish.who, refused[1], then="move.kept")
    async with reading(pool) as connection:
        times = await find_times(connection, own.clinic, visit_type, wish, now=now, taken=taken)
    return page(
        visitor,
        "manage_move.html",
        status=CONFLICT if refused else 200,
        here=times_url(visit_type, wish),
        link=link,
        own=own,
        visit_type=visit_type,
        times=times,
        typed=Typed(),
        refusal=refusal,
        holding=None,
        when=dates.when(own.clinic.local(own.visit.starts_at), visitor.language),
    )


def _did(link: Link, did: str) -> str | None:
    """Return what to say about what was just done, unless the visit is no longer as it left it."""
    visit, stage = link.own.visit, link.own.outlook.stage
    still_true = {
        "confirmed": stage == "ahead" and visit.status == "confirmed",
        "moved": stage == "ahead",
        "cancelled": stage == "cancelled",
        "kept": stage == "ahead",
        "saved": True,
    }
    when = dates.when(link.own.clinic.local(visit.starts_at), link.visitor.language)
    return link.visitor.say(_DID[did], when=when) if still_true.get(did) else None


def _clock(link: Link, moment: datetime | None) -> str | None:
    return dates.said_clock(link.own.clinic.local(moment), link.visitor.language) if moment else None


def _late(link: Link) -> str:
    """Return how close the visit is, in the notice that its type asks for."""
    visit_type = link.own.visit_type
    minutes = visit_type.change_cutoff_minutes if visit_type else 0
    if minutes <= _HOUR:
        return link.visitor.say("visit.late.one")
    return link.visitor.say("visit.late", hours=f"{minutes / _HOUR:g}")
