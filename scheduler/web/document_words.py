"""What the OpenAPI document says in words about its groups, parameters, headers and the ways between operations."""

from typing import Any

ABOUT = """
Availability, bookings and messages of a clinic.

What a patient may do needs no key; what the front desk does needs one, sent as `Authorization: Bearer`. Times are
RFC 3339 with the clinic's offset, and a time without an offset is refused. Every answer that is not a success is
`application/problem+json` (RFC 9457): program against its `code`, which never changes. A change of a visit sends the
`ETag` it saw as `If-Match`; an `Idempotency-Key` on a POST makes a retry safe for 24 hours. Lists take `limit` and
`cursor`. Every answer has an `X-Request-Id`, under which the server's log knows the request.
""".strip()

TAGS = {
    "Offer": "What the clinic offers, who treats, and which times are open: for anybody.",
    "Holds": "A time kept for a few minutes while somebody types: for anybody.",
    "Visits": "Appointments, from the booking to the check-out: booked by anybody from a hold, all else by key.",
    "Patients": "Who comes to the clinic, what they agreed to, and all that is held about them: by key.",
    "Schedule": "Who works when: weekly hours, overrides, time off, closures, and why a time is not open: by key.",
    "Messages": "Texts and emails that were planned, went out, failed or came in: by key.",
    "Webhooks": "Other software that is told what happens here: by key.",
    "Operations": "Whether the service works: for load balancers and people on call.",
}

# Which scopes reading and changing need, by tag; operations that differ are named, with all scopes that will do.
SCOPES: dict[str, tuple[str, str]] = {
    "Visits": ("visits:read", "visits:write"),
    "Holds": ("visits:read", "visits:write"),
    "Patients": ("patients:read", "patients:write"),
    "Schedule": ("visits:read", "schedule:write"),
    "Messages": ("messages:read", "messages:write"),
    "Webhooks": ("admin", "admin"),
}
SCOPES_BY_OPERATION: dict[str, tuple[str, ...]] = {
    "listPatientVisits": ("patients:read", "visits:read"),
    **dict.fromkeys(
        (
            "getHours", "listOverrides", "getOverride", "listTimeOff", "getTimeOff", "listClosures", "getClosure",
            "explainAvailability",
        ),
        ("visits:read", "schedule:write"),
    ),
}  # fmt: skip

# By name: what a parameter means, where the route does not say it itself, and a value for it.
PARAMETERS: dict[str, tuple[str, Any]] = {
    "visit_type": ("Code of a visit type, from listVisitTypes", "eval-run"),
    "from": ("A clinic date, meaning its beginning, or an instant with an offset; inclusive", "2026-12-07"),
    "to": ("A clinic date, meaning its beginning, or an instant with an offset; exclusive", "2026-12-14"),
    "therapist": ("Code of a therapist, from listTherapists", "rivera"),
    "limit": ("At most how many", 50),
    "cursor": ("The next_cursor of the page before", None),
    "patient_id": ("Only of this patient", None),
    "status": ("Only in this state", None),
    "channel": ("By text or by email", "sms"),
    "needs_attention": ("Only what a person should see to and nobody has, or only all else", True),
    "kind": ("The name of a text in config/messages", "reminder_24h"),
    "language": ("The clinic's first language where none is given", "en"),
    "visit_id": ("The visit's id", None),
    "hold_id": ("The hold's id", None),
    "message_id": ("The message's id", None),
    "open": ("Only what nobody has seen to, or only all else", True),
    "task_id": ("The task's id", None),
    "webhook_id": ("The webhook's id", None),
    "delivery_id": ("The delivery's id, which is the event's", None),
    "inbound_id": ("The id of the text that came in", None),
    "Hold-Token": ("The token that came with the hold", None),
    "If-Match": ("The ETag of the visit as it was last seen", '"3"'),
    "Idempotency-Key": (
        "A random UUID, say: the same key and body again get the first answer, for 24 hours",
        None,
    ),
    "code": ("The therapist's code, from listTherapists", "rivera"),
    "date": ("A clinic date", "2026-12-08"),
    "day": ("A clinic date", "2026-12-08"),
    "time_off_id": ("The id of the absence", None),
    "dry_run": ("Only tell which visits would be affected; nothing is changed", True),
}

# By name: what the schema of a parameter says beyond its type in the route, which reads it by hand.
_DAY = {"type": "string", "format": "date"}
PARAMETER_SCHEMAS: dict[str, dict[str, Any]] = {
    "from": {"anyOf": [_DAY, {"type": "string", "format": "date-time"}]},
    "to": {"anyOf": [_DAY, {"type": "string", "format": "date-time"}]},
    "date": _DAY,
    "day": _DAY,
    "If-Match": {"type": "string", "pattern": r'^"\d{1,9}"$'},
    "Idempotency-Key": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
}
# These are optional in their routes only so that their absence gets a problem of its own.
NEEDED = {"If-Match"}
# What is never the same twice has no example, lest somebody copies it.
WITHOUT_EXAMPLE = {"Idempotency-Key", "cursor"}

# Headers of answers: what each means, a value, and whether an answer that declares it always has it.
HEADERS: dict[str, tuple[str, str, bool]] = {
    "X-Request-Id": ("The id under which the server's log knows it", "01f0c7a2-55d3-4b0e-8f6a-2c9d4e1b7a30", True),
    "ETag": ("The version, to be sent back as If-Match", '"3"', True),
    "Location": ("Where the new thing is", "/api/v1/visits/019ae0c4-8b00-7000-8000-000000000001", True),
    "Idempotent-Replayed": ("true where this is the answer that the same Idempotency-Key got before", "true", False),
    "Retry-After": ("After how many seconds to try again", "1", True),
    "WWW-Authenticate": ("What to authenticate with", "Bearer", True),
}

# What these make is a part of something else, and has no address of its own.
WITHOUT_ADDRESS = {"addConsent"}

_OF_HOLD = {"hold_id": "$response.body#/id", "Hold-Token": "$response.body#/token"}
_OF_VISIT = {"visit_id": "$response.body#/id"}
_CHANGE = {**_OF_VISIT, "If-Match": "$response.header.ETag"}
_OF_MESSAGE = {"message_id": "$response.body#/id"}
_OF_ABSENCE = {"code": "$response.body#/therapist", "time_off_id": "$response.body#/id"}


def _of_patient(place: str) -> dict[str, dict[str, str]]:
    """What can be done with a patient whose id is at that place of an answer."""
    known = ("getPatient", "changePatient", "listConsents", "addConsent", "exportPatient", "listPatientVisits")
    return {operation: {"patient_id": f"$response.body#/{place}"} for operation in known}


def _of_webhook(place: str) -> dict[str, dict[str, str]]:
    known = ("getWebhook", "changeWebhook", "removeWebhook", "listDeliveries", "testWebhook", "rotateWebhookSecret")
    return {operation: {"webhook_id": f"$response.body#/{place}"} for operation in known}


# By the operation, or the object it answers: what can be done next, and with what of the answer.
LINKS: dict[str, dict[str, dict[str, str]]] = {
    "createHold": {"extendHold": _OF_HOLD, "releaseHold": _OF_HOLD},
    "VisitAnswer": {
        "getVisit": _OF_VISIT,
        "rescheduleVisit": _CHANGE,
        "confirmVisit": _CHANGE,
        "cancelVisit": _CHANGE,
        "checkInVisit": _CHANGE,
        "completeVisit": _CHANGE,
        "markNoShow": _CHANGE,
        "undoVisit": _CHANGE,
        "getVisitHistory": _OF_VISIT,
        "listMessages": _OF_VISIT,
        **_of_patient("patient/id"),
    },
    "PatientRecord": _of_patient("id"),
    "PatientFound": _of_patient("id"),
    "MessagePage": {"getMessage": {"message_id": "$response.body#/items/0/id"}},
    "MessageAnswer": {
        "getMessage": _OF_MESSAGE,
        "handleMessage": _OF_MESSAGE,
        "resendMessage": _OF_MESSAGE,
    },
    "InboundPage": {"handleInbound": {"inbound_id": "$response.body#/items/0/id"}},
    "TaskPage": {"handleTask": {"task_id": "$response.body#/items/0/id"}},
    "addTimeOff": {"getTimeOff": _OF_ABSENCE, "removeTimeOff": _OF_ABSENCE},
    "WebhookAnswer": _of_webhook("id"),
    "WebhookWithSecret": _of_webhook("webhook/id"),
    "listDeliveries": {
        "redeliver": {"webhook_id": "$request.path.webhook_id", "delivery_id": "$response.body#/items/0/id"}
    },
}
LINKED_BODIES: dict[str, dict[str, Any]] = {
    "createHold": {
        "bookVisit": {
            "hold_id": "$response.body#/id",
            "hold_token": "$response.body#/token",
            "patient": {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142"},
        }
    }
}
