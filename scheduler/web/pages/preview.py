"""What patients would have been sent, where this installation shows messages instead of sending them."""

from collections.abc import Iterable
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from scheduler.channels.texts import Texts
from scheduler.domain.clinics import Clinic
from scheduler.domain.messages import Message, State
from scheduler.services.messages import list_messages, text_of
from scheduler.settings import Settings, is_loopback
from scheduler.store.connections import Pool
from scheduler.store.units import reading
from scheduler.web.callers import FromNow
from scheduler.web.pages import dates
from scheduler.web.pages.docs import in_english
from scheduler.web.pages.render import PageRequest, Visitor, page

SHOWN = 200

# In plain words; the moment and the reason are filled in.
_STATES: dict[State, str] = {
    "pending": "Planned for {due}",
    "sending": "On its way",
    "sent": "Sent {finished}",
    "delivered": "Delivered {finished}",
    "undelivered": "Not delivered. {reason}",
    "failed": "Refused. {reason}",
    "unknown": "It may have left; the provider is being asked",
    "cancelled": "Never sent. {reason}",
    "expired": "Never sent: it came too late to be of use",
    "suppressed": "Never sent. {reason}",
    "dead": "Given up after many tries. {reason}",
}
_VOID: frozenset[State] = frozenset({"cancelled", "expired", "suppressed", "undelivered", "failed", "dead"})


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is shown. ``look`` is ``planned``, ``void`` or ``gone``."""

    channel: str
    template: str
    language: str
    state: str
    look: str
    subject: str
    text: str


class PreviewedVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit and its messages, newest first. Whose it is, is not told."""

    id: UUID | None
    what: str
    when: str
    messages: list[Preview]


def is_previewing(settings: Settings) -> bool:
    """Return whether messages are previewed, on an address that only this machine can reach."""
    previews = "preview" in (settings.sms_channel, settings.email_channel)
    return previews and is_loopback(urlsplit(settings.public_base_url).hostname or "")


@get(["/preview/messages", "/preview/messages.txt"])
async def show_messages(
    request: PageRequest,
    visitor: NamedDependency[Visitor],
    pool: NamedDependency[Pool],
    texts: NamedDependency[Texts],
    now: FromNow,
    visit_id: FromQuery[UUID | None] = None,
    after: FromQuery[UUID | None] = None,
) -> Response[str]:
    """Show the messages of all visits or of one, newest first; as plain text for a terminal."""
    clinic = visitor.clinic
    async with reading(pool) as connection:
        found, more = await list_messages(connection, clinic, visit_id=visit_id, after=after, limit=SHOWN)
    visits = _visits(texts, clinic, found, now)
    accept = request.headers.get("accept", "")
    if request.scope["path"].endswith(".txt") or ("text/plain" in accept and "text/html" not in accept):
        return Response(_as_text(visits), media_type="text/plain")
    settings = cast("Settings", request.app.state.settings)
    channels = {"texts": settings.sms_channel, "emails": settings.email_channel}
    older = f"/preview/messages?after={found[-1].id}" if more and visit_id is None else None
    return page(
        in_english(visitor),
        "preview.html",
        visits=visits,
        one=visit_id,
        older=older,
        base_url=settings.public_base_url,
        previewed=[name for name, channel in channels.items() if channel == "preview"],
    )


def _visits(texts: Texts, clinic: Clinic, messages: Iterable[Message], now: datetime) -> list[PreviewedVisit]:
    """Group messages by visit, the visit with the newest message first. The newest one knows when the visit is."""
    by_visit: dict[UUID | None, list[Message]] = {}
    for message in messages:
        by_visit.setdefault(message.visit_id, []).append(message)
    return [
        PreviewedVisit(
            id=visit_id,
            what=_type_name(clinic, found[0].variables["visit_type"]) if visit_id else "",
            when=_moment(clinic, datetime.fromisoformat(found[0].variables["starts_at"]))
            if visit_id
            else "About no visit",
            messages=[_preview(texts, clinic, message, now) for message in found],
        )
        for visit_id, found in by_visit.items()
    ]


def _preview(texts: Texts, clinic: Clinic, message: Message, now: datetime) -> Preview:
    subject, text = text_of(texts, clinic, message)
    previewed = message.state == "sent" and (message.provider_id or "").startswith("preview-")
    words = "Shown here instead of sent, {finished}" if previewed else _STATES[message.state]
    if message.state == "pending" and message.not_before <= now:
        words = "About to go"
    state = words.format(
        due=_moment(clinic, message.not_before),
        finished=_moment(clinic, message.finished_at or message.not_before),
        reason=message.reason or "",
    )
    look = "planned" if message.state == "pending" else "void" if message.state in _VOID else "gone"
    return Preview(
        channel={"sms": "Text", "email": "Email"}[message.channel],
        template=message.template.replace("_", " "),
        language=message.language,
        state=state.strip(),
        look=look,
        subject=subject,
        text=text.strip(),
    )


def _as_text(visits: list[PreviewedVisit]) -> str:
    lines: list[str] = []
    for visit in visits:
        lines += [f"{visit.when}: {visit.what}", f"visit {visit.id}", ""] if visit.id else [visit.when, ""]
        for message in visit.messages:
            lines.append(f"  {message.channel}, {message.template}. {message.state}")
            body = [message.subject, "", *message.text.splitlines()] if message.subject else message.text.splitlines()
            lines += [f"    | {line}".rstrip() for line in body]
            lines.append("")
    return "\n".join(lines or ["No messages yet.", ""]).replace("\u00a0", " ")


def _moment(clinic: Clinic, instant: datetime) -> str:
    return dates.when(clinic.local(instant), "en")


def _type_name(clinic: Clinic, code: str) -> str:
    visit_type = clinic.visit_types.get(code)
    return visit_type.names["en"] if visit_type else code
