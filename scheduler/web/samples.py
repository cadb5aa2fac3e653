"""What the examples of the OpenAPI document show: invented people, at a clinic that could be real."""

from typing import Any

from scheduler.errors import SchedulerError

Schema = dict[str, Any]

_VISIT = "019ae0c4-8b00-7000-8000-000000000001"
_PATIENT = "019ae0c4-8b00-7000-8000-000000000002"
_HOLD = "019ae0c4-8b00-7000-8000-000000000003"
_MESSAGE = "019ae0c4-8b00-7000-8000-000000000004"
_INBOUND = "019ae0c4-8b00-7000-8000-000000000005"
_OTHER = "019ae0c4-8b00-7000-8000-000000000006"
_TASK = "019ae0c4-8b00-7000-8000-000000000007"
_TOKEN = "Zq3xV8uC1nR6tB0yK5mW7pJ2sL4dF9hG"  # noqa: S105 - nobody's
_STARTS, _ENDS = "2026-12-08T09:45:00-05:00", "2026-12-08T10:45:00-05:00"

_ASH = {
    "given_name": "Ash",
    "family_name": "Sample",
    "phone": "201 555 0142",
    "email": "ash@example.com",
    "sms_consent": {"granted": True, "wording_version": "2026-11"},
}

# The value of a member by its name, or by its object and name where that differs. None is null.
SAMPLES: dict[str, Any] = {
    "id": _OTHER,
    "hold_id": _HOLD,
    "hold_token": _TOKEN,
    "Hold-Token": _TOKEN,
    "inbound_id": _INBOUND,
    "message_id": _MESSAGE,
    "patient_id": _PATIENT,
    "visit_id": _VISIT,
    "HoldAnswer.id": _HOLD,
    "HoldAnswer.token": _TOKEN,
    "HoldAnswer.expires_at": "2026-12-07T15:07:30-05:00",
    "InboundAnswer.id": _INBOUND,
    "task_id": _TASK,
    "TaskAnswer.id": _TASK,
    "TaskAnswer.kind": "wants-to-move",
    "TaskAnswer.open": True,
    "TaskAnswer.message_id": None,
    "TaskAnswer.reason": "A text asked for another time. It was sent the link.",
    "MessageAnswer.id": _MESSAGE,
    "PatientAnswer.id": _PATIENT,
    "VisitAnswer.id": _VISIT,
    "VisitAnswer.status": "booked",
    "action": "visit.rescheduled",
    "actor": "key:front desk",
    "address": "+12015550142",
    "ClinicAnswer.address": "14-25 Plaza Road, Fair Lawn, NJ 07410",
    "attempts": 1,
    "bring": {"en": "Running shoes and shorts", "es": "Zapatillas de correr y pantalón corto"},
    "by": "patient",
    "birth_date": "1990-04-02",
    "cancel_reason": None,
    "channel": "sms",
    "checks": [{"name": "database", "ok": True, "detail": ""}],
    "code": "eval-run",
    "closes": "19:00",
    "consent_wording_version": "2026-11",
    "created_by": "key:front desk",
    "credential": "PT",
    "cursor": _OTHER,
    "data": {"visit": {"id": _VISIT, "status": "booked", "version": 1}},
    "date": "2026-12-08",
    "description": "Billing",
    "detail": None,
    "details": {"from": "booked", "to": "confirmed"},
    "display_name": "Ash S.",
    "due_at": "2026-12-07T09:45:00-05:00",
    "duration_minutes": 60,
    "email": "ash@example.com",
    "encoding": "GSM-7",
    "ends_at": _ENDS,
    "equipment": ["treadmill-1"],
    "error_code": None,
    "family_name": "Sample",
    "finished_at": "2026-12-07T09:45:01-05:00",
    "first": _STARTS,
    "from": "2026-12-07",
    "generation": 1,
    "getMetrics": (
        "# HELP scheduler_database_up 1 where the database answered this scrape.\n"
        "# TYPE scheduler_database_up gauge\nscheduler_database_up 1.0\n"
    ),
    "given_name": "Ash",
    "handled_at": None,
    "handled_by": None,
    "http_status": 201,
    "kind": "reminder",
    "language": "en",
    "languages": ["en", "es"],
    "manage_url": "https://booking.clinic.example/m/xZ3kQ0v8TnB1yWcRfLhD2g",
    "meaning": None,
    "minimum_notice_minutes": 720,
    "method": "api",
    "ClinicAnswer.name": "Twin Boro Physical Therapy, Fair Lawn",
    "names": {"en": "First visit: hip or running pain", "es": "Primera visita: dolor de cadera o al correr"},
    "next_available": _STARTS,
    "next_cursor": None,
    "number": 1,
    "online": True,
    "open": 12,
    "opens": "07:00",
    "outcome": "accepted",
    "overbook_reason": None,
    "phone": "(201) 791-1100",
    "provider_id": "SM00000000000000000000000000000142",
    "reason": "The patient asked",
    "MessageAnswer.reason": None,
    "DeliveryAnswer.reason": None,
    "ExportedMessage.reason": None,
    "next_attempt_at": None,
    "pause_reason": None,
    "q": "sam",
    "recipient": "+12015550100",
    "request_id": "01f0c7a2-55d3-4b0e-8f6a-2c9d4e1b7a30",
    "response_status": 204,
    "scope": "visits",
    "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "received_at": "2026-12-07T09:52:10-05:00",
    "removed_at": None,
    "removed_by": None,
    "resend_of": None,
    "room": "eval-1",
    "segments": 1,
    "sender": "+12015550142",
    "started_at": "2026-12-07T09:45:00-05:00",
    "starts_at": _STARTS,
    "state": "sent",
    "status": "ready",
    "subject": "",
    "template": "reminder_24h",
    "text": "Twin Boro PT: your visit is tomorrow, Tue Dec 8 9:45 AM. Reply C to confirm. Call (201) 791-1100.",
    "InboundAnswer.text": "May my daughter come along?",
    "MessagePreview.kind": "reminder_24h",
    "therapist": "rivera",
    "TherapistAnswer.code": "rivera",
    "TherapistAnswer.display_name": "Dr. A. Rivera",
    "to": "2026-12-14",
    "timezone": "America/New_York",
    "today": [{"opens": "07:00", "closes": "19:00"}],
    "type": "visit.booked",
    "units": 98,
    "url": "https://example.com/webhooks",
    "version": 1,
    "visit_type": "eval-run",
    "wording_version": "2026-11",
    "client_address": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15",
    "HistoryActor.kind": "key",
    "HistoryActor.name": "front desk",
    "PatientRecord.id": _PATIENT,
    "PatientFound.id": _PATIENT,
    "PatientRecord.phone": "+12015550142",
    "PatientFound.phone": "+12015550142",
    "PatientBody.phone": "201 555 0142",
    "PatientChangeBody.phone": "201 555 0142",
    "Liveness.status": "alive",
}

# Bodies of which no example can be made member by member: what goes together, by a name for each.
BODIES: dict[str, dict[str, Any]] = {
    "VisitBody": {
        "from a hold": {"hold_id": _HOLD, "hold_token": _TOKEN, "patient": _ASH},
        "directly, by key": {"visit_type": "eval-run", "starts_at": _STARTS, "therapist": "rivera", "patient": _ASH},
        "for a patient on file, over another visit": {
            "visit_type": "eval-run",
            "starts_at": _STARTS,
            "therapist": "rivera",
            "patient_id": _PATIENT,
            "overbook": {"reason": "Pain came back, asked for by Dr. Example"},
        },
    },
    "HoldBody": {
        "with anybody": {"visit_type": "eval-run", "starts_at": _STARTS},
        "with a therapist": {"visit_type": "eval-run", "starts_at": _STARTS, "therapist": "rivera"},
    },
}

_ALTERNATIVES = [
    {"starts_at": "2026-12-08T10:00:00-05:00", "ends_at": "2026-12-08T11:00:00-05:00", "therapist": "rivera"},
    {"starts_at": "2026-12-08T13:15:00-05:00", "ends_at": "2026-12-08T14:15:00-05:00", "therapist": "okafor"},
]

# What an error says beyond its title, as its members.
_MEMBERS: dict[str, dict[str, Any]] = {
    "forbidden": {"scope": "visits:write"},
    "hold-expired": {"alternatives": _ALTERNATIVES, "conflict": "therapist"},
    "invalid-request": {
        "errors": [{"pointer": "/patient/phone", "code": "phone-invalid", "detail": "Enter a 10-digit US number"}]
    },
    "message-outdated": {"visit_status": "cancelled"},
    "message-wrong-state": {"state": "delivered", "allowed": ["dead", "failed", "suppressed", "undelivered"]},
    "method-not-allowed": {"allow": ["GET", "HEAD", "OPTIONS"]},
    "not-bookable-online": {"alternatives": []},
    "not-qualified": {"alternatives": _ALTERNATIVES},
    "outside-hours": {"alternatives": _ALTERNATIVES},
    "rate-limited": {"retry_after_seconds": 30},
    "slot-taken": {"conflict": "therapist", "alternatives": _ALTERNATIVES},
    "too-far-ahead": {"alternatives": _ALTERNATIVES},
    "too-late-to-change": {"phone": "(201) 791-1100", "cutoff_at": "2026-12-07T09:45:00-05:00"},
    "too-soon": {"alternatives": _ALTERNATIVES},
    "version-mismatch": {"etag": '"4"'},
    "version-required": {"etag": '"4"'},
    "wrong-status": {"visit_status": "cancelled", "allowed": ["undo"]},
}


def problem_example(error: type[SchedulerError], base_url: str) -> dict[str, Any]:
    """Return an example of a problem, as the document keeps it among its components."""
    members = _MEMBERS.get(error.code, {})
    details = members.get("errors", [])
    value = {
        "type": f"{base_url}/problems/{error.code}",
        "code": error.code,
        "title": error.title,
        "status": error.status,
        "detail": "; ".join(f"{one['pointer']}: {one['detail']}" for one in details) or error.title,
        "instance": "urn:request:01f0c7a2-55d3-4b0e-8f6a-2c9d4e1b7a30",
        **members,
    }
    return {"summary": error.title, "value": value}


def request_examples(schema: Schema, schemas: dict[str, Schema]) -> dict[str, Any]:
    """Return the examples of a body by name: those that are written down, or one made of its members."""
    name = schema.get("$ref", "").rpartition("/")[2]
    written = BODIES.get(name) or {"example": example_of(schema, schemas)}
    return {key.replace(" ", "-").replace(",", ""): {"summary": key, "value": value} for key, value in written.items()}


def example_of(schema: Schema, schemas: dict[str, Schema], name: str = "", owner: str = "") -> Any:
    """Return an example of what a schema describes: objects member by member, values by their names."""
    if f"{owner}.{name}" in SAMPLES:
        return SAMPLES[f"{owner}.{name}"]
    if schema.get("examples"):
        return schema["examples"][0]
    if name in SAMPLES and fits(SAMPLES[name], schema):
        return SAMPLES[name]
    if "$ref" in schema:
        kind = schema["$ref"].rpartition("/")[2]
        written = BODIES.get(kind)
        return next(iter(written.values())) if written else example_of(schemas[kind], schemas, owner=kind)
    for part in schema.get("anyOf", ()):
        return example_of(part, schemas, name, owner)
    if "default" in schema:
        return schema["default"]
    if "properties" in schema:
        return {member: example_of(inner, schemas, member, owner) for member, inner in schema["properties"].items()}
    return _value(schema, schemas, name, owner)


_BY_FORMAT = {"date-time": "2026-12-07T09:45:00-05:00", "date": "2026-12-08", "uuid": _OTHER}


def _value(schema: Schema, schemas: dict[str, Schema], name: str, owner: str) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "array":
            return [example_of(schema["items"], schemas, name, owner)]
        case "boolean":
            return True
        case "object":
            return {}
        case "null":
            return None
        case "integer":
            return max(1, int(schema.get("minimum", 1)))
        case _:
            # A test finds the last, so that nobody reads one.
            return _BY_FORMAT.get(schema.get("format", ""), f"<{owner}.{name}>")


def fits(value: Any, schema: Schema) -> bool:
    """Return whether a sample can stand where a schema is: names alone do not tell what they hold everywhere."""
    if "anyOf" in schema:
        return any(fits(value, part) for part in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    kind = schema.get("type")
    if kind == "null" or value is None:
        return value is None and kind == "null"
    return kind in kinds and isinstance(value, kinds[kind])
