"""The page of health: whether messages flow, what failed, and the rows behind every number."""

from datetime import datetime, timedelta
from typing import Any, get_args
from urllib.parse import urlencode

from litestar import Response, get
from litestar.di import NamedDependency

from scheduler.domain.clinics import Channel
from scheduler.domain.inbox import Row
from scheduler.services.ops import SHOWN, read_ops
from scheduler.services.staff_names import name_actors
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.store.ops import Listing
from scheduler.store.units import unit_of_work
from scheduler.web.callers import FromNow
from scheduler.web.pages import dates
from scheduler.web.pages.render import PageRequest
from scheduler.web.staff import message_words, ops_words
from scheduler.web.staff.inbox_looks import as_item, look_at, row_look, seen_to
from scheduler.web.staff.messages import undo_address
from scheduler.web.staff.render import HTMX, staff_page
from scheduler.web.staff.session import FromStaff, StaffMember, settings_of

OPS = "/staff/ops"

_RANGES = {"day": ("24 hours", timedelta(hours=24)), "week": ("7 days", timedelta(days=7))}

_LISTINGS: dict[str, Listing] = {listing: listing for listing in get_args(Listing)}


@get("/ops")
async def show_ops(request: PageRequest, staff: FromStaff, pool: NamedDependency[Pool], now: FromNow) -> Response[str]:
    """Show how messages flow. ``range`` is day or week, and ``show`` which rows."""
    query = request.query_params
    known_range = query.get("range", "")
    chosen = known_range if known_range in _RANGES else "day"
    listing = _LISTINGS.get(query.get("show", ""), "failed")
    previewed = _previewed(settings_of(request))
    async with unit_of_work(pool) as connection:
        ops = await read_ops(
            connection, staff.clinic, listing, since=now - _RANGES[chosen][1], previewed=previewed, actor=staff.actor,
            now=now,
        )  # fmt: skip
        actors = {row.message.handled_by for row in ops.rows if row.message and row.message.handled_by}
        names = await name_actors(connection, staff.clinic, actors)
    moment = ops_words.Moment(clinic=staff.clinic, now=now)
    title, empty, first = ops_words.LISTINGS[listing]
    return staff_page(
        staff,
        "staff/ops.html",
        title="Message health",
        htmx=HTMX,
        again=_address(chosen, listing).partition("#")[0],
        section="ops",
        headline=_headline(ops_words.headline(ops, moment), chosen),
        open=ops.facts.open,
        unknown=ops.levels["planner"] == "none",
        tiles=[
            {**tile, "address": _address(chosen, tile["listing"]), "current": tile["listing"] == listing}
            for tile in ops_words.tiles(ops, moment)
        ],
        filters=_filters(chosen, listing),
        range_words=f"Last {_RANGES[chosen][0]}",
        at=moment.said(now),
        zone=dates.zone_name(staff.clinic, "en"),
        health=[
            (line, _address(chosen, line.listing) if line.listing else "") for line in ops_words.health(ops, moment)
        ],
        rows=[_row(row, listing, staff, names, now) for row in ops.rows],
        listing=listing,
        table={"title": title, "empty": empty, "first": first},
        more=len(ops.rows) == SHOWN,
        may=staff.is_any("desk", "admin"),
        did=message_words.DID.get(query.get("did", ""), ""),
        undo=undo_address(query),
    )


def _row(row: Row, listing: Listing, staff: StaffMember, names: dict[str, str], now: datetime) -> dict[str, Any]:
    look = row_look(row, staff, now)
    seen = seen_to(row, staff, names, now)
    item = as_item(row) if listing in ("failed", "open") and not seen else None
    if listing == "opted_out":
        look["reason"] = message_words.opted_out(row)
    return {**look, "seen": seen, "item": look_at(item, staff, now) if item else None}


def _headline(told: ops_words.Told | None, chosen: str) -> dict[str, str] | None:
    if told is None:
        return None
    address = _address(chosen, _LISTINGS[told.leads]) if told.leads in _LISTINGS else told.leads
    return {"words": told.now_do, "address": address, "link": told.link}


def _filters(chosen: str, listing: Listing) -> list[dict[str, Any]]:
    # What is open, or to come, is so whenever it began.
    ranged = listing in ("failed", "delivered", "unreceipted", "left", "opted_out")
    filters = [
        {
            "label": label,
            "address": _address(name, listing if ranged else "failed"),
            "current": ranged and name == chosen,
        }
        for name, (label, _) in _RANGES.items()
    ]
    return [*filters, {"label": "Needs a person", "address": _address(chosen, "open"), "current": listing == "open"}]


def _address(chosen: str, listing: Listing) -> str:
    query = [("range", chosen)] if chosen != "day" else []
    query += [("show", listing)] if listing != "failed" else []
    return f"{OPS}?{urlencode(query)}#rows" if query else f"{OPS}#rows"


def _previewed(settings: Settings) -> list[Channel]:
    channels: dict[Channel, str] = {"sms": settings.sms_channel, "email": settings.email_channel}
    return [channel for channel, means in channels.items() if means == "preview"]


OPS_PAGES = [show_ops]
