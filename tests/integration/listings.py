"""Every list of the API: where it is, how it is sorted and filtered, and what its rows may hold."""

from typing import Any

import msgspec

STARTS = ["2027-01-12T10:00:00-05:00", "2027-01-12T10:30:00-05:00", "2027-01-13T10:00:00-05:00"]

# Where the bounds of a query lie: before, at, between and after what there is.
BOUNDS = ["2027-01-12", "2027-01-12T10:30:00-05:00", "2027-01-13", "2027-02-01"]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A list: its path, its table, and for each filter the values that it may have.

    ``key`` is the column by which it is sorted before the id, ``keys`` the values that a new or a moved row may get
    there; ``note`` is a column that anybody may change without the row going anywhere. ``once`` are the columns that
    must differ from row to row. ``identity`` is what tells its rows apart.
    """

    path: str
    table: str
    filters: dict[str, list[str]]
    needed: tuple[str, ...] = ()
    key: str
    keys: list[Any]
    moves: bool = True
    note: str
    once: tuple[str, ...] = ()
    identity: str = "id"


_VISIT_KEYS = [*STARTS, "2027-01-01T10:00:00-05:00", "2027-01-12T10:15:00-05:00", "2027-02-01T10:00:00-05:00"]

LISTS = {
    "visits": Listing(
        path="/api/v1/visits", table="visits", key="starts_at", keys=_VISIT_KEYS, note="cancel_reason",
        filters={
            "therapist": ["rivera", "okafor"], "status": ["booked", "confirmed", "cancelled"],
            "patient_id": ["{patient}"], "from": BOUNDS, "to": BOUNDS,
        },
    ),
    "a patient's visits": Listing(
        path="/api/v1/patients/{patient}/visits", table="visits", key="starts_at", keys=_VISIT_KEYS, filters={},
        note="cancel_reason",
    ),
    "messages": Listing(
        path="/api/v1/messages", table="messages", key="state", keys=["pending", "cancelled", "dead"], note="reason",
        once=("dedupe_key",),
        filters={
            "status": ["pending", "cancelled", "dead"], "channel": ["sms", "email"], "visit_id": ["{visit}"],
            "from": BOUNDS, "to": BOUNDS, "needs_attention": ["true", "false"],
        },
    ),
    # A cursor names the last patient seen by their id, so that no name stands in a URL. Where that patient is renamed
    # while somebody turns the page, the next page begins at the new name; so nobody is renamed here.
    "patients": Listing(
        path="/api/v1/patients", table="patients", key="family_name", moves=False, note="email",
        keys=["Sample", "Samson", "Samuel", "Another"], once=("phone",), needed=("q",),
        filters={"q": ["sa", "sam", "sample", "ash", "sample jo", "0101", "samson a"]},
    ),
    "inbound": Listing(
        path="/api/v1/inbound", table="inbound_messages", key="needs_attention", keys=[True, False], note="meaning",
        once=("provider_id",), filters={"needs_attention": ["true", "false"]},
    ),
    "time off": Listing(
        path="/api/v1/therapists/rivera/time-off", table="time_off", key="during", note="reason",
        keys=[f"[2027-01-{day} 12:00+00,2027-01-20 12:00+00)" for day in (10, 11, 12, 13)],
        filters={"from": BOUNDS[:-1], "to": BOUNDS[-1:]},
    ),
    "overrides": Listing(
        path="/api/v1/therapists/lind/overrides", table="overrides", identity="date", key="date", moves=False,
        keys=["2027-01-09", "2027-01-21", "2027-02-28"], note="reason",
        filters={"from": ["2027-01-12"], "to": ["2027-01-20"]},
    ),
    "closures": Listing(
        path="/api/v1/closures", table="closures", identity="date", key="date", moves=False,
        keys=["2027-01-09", "2027-01-21", "2027-08-28"], note="reason",
        filters={"from": ["2027-01-12"], "to": ["2027-09-20"]},
    ),
    "webhooks": Listing(
        path="/api/v1/webhooks", table="webhooks", key="generation", keys=[2], moves=False, note="description",
        filters={},
    ),
    "deliveries": Listing(
        path="/api/v1/webhooks/{webhook}/deliveries", table="webhook_deliveries", key="state",
        keys=["pending", "delivered", "dead"], note="reason", filters={"status": ["pending", "delivered", "dead"]},
    ),
}  # fmt: skip
