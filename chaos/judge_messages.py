"""The promises about messages, and that nobody's name, phone, email or token is where it does not belong.

What must be sent is worked out here from the audit, the patients and the clinic's ladder, apart from the service.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from chaos.judge import LIVE, Promise
from chaos.records import Records

# How long a text that was on its way when its visit was cancelled may take to arrive: its lease, and the answer.
GRACE = timedelta(seconds=15)

NOTICES = {"visit.booked": "booked", "visit.rescheduled": "rescheduled", "visit.cancelled": "cancelled_by_patient"}

# The sample clinic's ladder for visits far enough ahead: template, channel, and for which visits (none: all).
LADDER = (
    ("reminder_72h", "email", frozenset[str]()),
    ("reminder_72h", "sms", frozenset({"eval-run", "eval"})),
    ("reminder_24h", "sms", frozenset[str]()),
)


def every_visit_has_exactly_the_messages_it_should(records: Records) -> Iterator[str]:
    patients = {patient["id"]: patient for patient in records.rows["patients"]}
    reached = {ask.marker: ask.wants["patient"] for ask in records.asks if ask.what == "book"}
    planned: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for message in records.rows["messages"]:
        if message["resend_of"] is None and message["fallback_of"] is None and message["kind"] != "reply":
            planned[message["visit_id"]].append(message)
    events: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in records.rows["audit_events"]:
        events[event["visit_id"]].append(event)
    for visit in records.rows["visits"]:
        if visit["patient_id"] is None:
            continue
        said = reached.get(patients[visit["patient_id"]]["family_name"], {})
        channels = {"sms": "sms_consent" in said, "email": "email" in said}
        expected = Counter(
            (NOTICES[event["action"]], channel, event["details"]["version"])
            for event in events[visit["id"]]
            if event["action"] in NOTICES and _moved(event)
            for channel, wanted in channels.items()
            if wanted
        )
        found = Counter(
            (message["kind"], message["channel"], message["visit_version"])
            for message in planned[visit["id"]]
            if message["kind"] != "reminder"
        )
        if found != expected and not any(event["action"] == "visit.undone" for event in events[visit["id"]]):
            yield f"visit {visit['id']} lacks {dict(expected - found)} and has beyond that {dict(found - expected)}"
        yield from _check_reminders(visit, planned[visit["id"]], channels)


def _check_reminders(visit: dict[str, Any], planned: list[dict[str, Any]], channels: dict[str, bool]) -> Iterator[str]:
    standing = Counter(
        (message["template"], message["channel"], datetime.fromisoformat(message["variables"]["starts_at"]))
        for message in planned
        if message["kind"] == "reminder" and message["state"] != "cancelled"
    )
    far_ahead = visit["starts_at"] - visit["created_at"] > timedelta(days=5)
    promised = Counter(
        (template, channel, visit["starts_at"])
        for template, channel, kinds in LADDER
        if far_ahead and channels[channel] and visit["status"] in ("booked", "confirmed")
        and (not kinds or visit["visit_type"] in kinds)
    )  # fmt: skip
    if standing != promised:
        yield f"visit {visit['id']} ({visit['status']}) is reminded by {dict(standing)} instead of {dict(promised)}"


def _moved(event: dict[str, Any]) -> bool:
    details = event["details"]
    return event["action"] != "visit.rescheduled" or details["from"]["starts_at"] != details["to"]["starts_at"]


def nothing_is_sent_twice(records: Records) -> Iterator[str]:
    """A provider has each message once. An email in doubt may come twice, under one name; SMTP cannot be asked."""
    doubted = _doubted(records)
    for name, times in Counter(_texts(records)).items():
        if times > 1:
            yield f"doubled: text {name} was accepted {times} times"
    for name, times in Counter(_mails(records)).items():
        most = 2 if name in doubted else 1
        if times > most:
            yield f"doubled: email {name} was accepted {times} times, and was in doubt {most - 1} times"


def what_should_have_arrived_has_and_nothing_else(records: Records) -> Iterator[str]:
    accepted = {"sms": set(_texts(records)), "email": set(_mails(records))}
    known = {str(message["id"]) for message in records.rows["messages"]}
    doubted = _doubted(records)
    for channel, names in accepted.items():
        for name in names - known:
            yield f"invented: the provider has {channel} {name}, of which there is no row"
    for message in records.rows["messages"]:
        name, state = str(message["id"]), message["state"]
        there = name in accepted[message["channel"]]
        if state in ("sent", "delivered") and not there:
            yield f"lost: {message['channel']} {name} ({message['kind']}) is {state}, and the provider never had it"
        # An email that was in doubt may have been about to go again when it was called off.
        in_doubt = message["channel"] == "email" and name in doubted
        if state in ("cancelled", "suppressed", "expired") and there and not in_doubt:
            yield f"{message['channel']} {name} ({message['kind']}) is {state}, and was sent all the same"
        if state in ("failed", "dead", "undelivered", "suppressed", "expired"):
            yield f"lost: {message['channel']} {name} ({message['kind']}) ended as {state}: {message['reason']}"


def nothing_stays_under_way(records: Records) -> Iterator[str]:
    if records.unsettled:
        yield f"{records.unsettled} messages or holds were still under way when everything had been well for a minute"


def nothing_is_said_about_a_visit_long_after_it_was_cancelled(records: Records) -> Iterator[str]:
    cancelled = {
        str(event["visit_id"]): event["at"]
        for event in records.rows["audit_events"]
        if event["action"] == "visit.cancelled"
    }
    off = {str(visit["id"]) for visit in records.rows["visits"] if visit["status"] not in LIVE}
    messages = {str(message["id"]): message for message in records.rows["messages"]}
    for name, at in [*_arrivals(records.texts, "StatusCallback"), *_arrivals(records.mails, "message_id")]:
        message = messages.get(name)
        visit = str(message["visit_id"]) if message else ""
        if message is None or visit not in cancelled or visit not in off or message["kind"] == "reply":
            continue
        late = at - cancelled[visit]
        if late > GRACE and not message["kind"].startswith("cancelled"):
            yield f"{message['kind']} {name} went out {late} after its visit was cancelled"


def no_canary_is_seen(records: Records) -> Iterator[str]:
    """Names and addresses hold a marker that nothing else holds; phones and tokens have their own form."""
    markers = re.compile("|".join(map(re.escape, {*records.markers, *(m.lower() for m in records.markers)})) or "(?!)")
    phones = {ask.wants["patient"]["phone"][2:] for ask in records.asks if ask.what == "book"}
    digits = re.compile("|".join(phones) or "(?!)")
    tokens = re.compile(r"tbs_[\w-]{8}|/m/[\w-]{20}")
    places = {**records.logs, **{f"metrics {number}": text for number, text in enumerate(records.metrics)}}
    for place, text in places.items():
        for kind, form in (("a name or email", markers), ("a phone", digits), ("a token", tokens)):
            if found := form.search(text):
                line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
                yield f"{kind} is in {place}: {line[:300]}"


def nothing_failed_unforeseen(records: Records) -> Iterator[str]:
    for name, text in records.logs.items():
        for line in text.splitlines():
            # The library that keeps connections says at length that it will try again: a warning.
            unforeseen = "Traceback" in line and '"level": "warning"' not in line
            if unforeseen or '"request.failed"' in line or '"message.doubled"' in line:
                yield f"{name}: {line[:1500]}"
    yield from records.complaints


def _doubted(records: Records) -> set[str]:
    """Return the messages of which it is written down that nobody knows what became of an attempt."""
    attempts = records.rows["message_attempts"]
    return {str(attempt["message_id"]) for attempt in attempts if attempt["outcome"] in ("unknown", None)}


def _texts(records: Records) -> list[str]:
    return [name for name, _ in _arrivals(records.texts, "StatusCallback")]


def _mails(records: Records) -> list[str]:
    return [name for name, _ in _arrivals(records.mails, "message_id")]


def _arrivals(accepted: list[dict[str, Any]], field: str) -> list[tuple[str, datetime]]:
    """Return which message of ours each one is that a provider has, and when it got it."""
    ids = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    return [
        (found[0], datetime.fromisoformat(one["at"])) for one in accepted if (found := ids.search(one.get(field, "")))
    ]


PROMISES: tuple[Promise, ...] = (
    every_visit_has_exactly_the_messages_it_should,
    nothing_is_sent_twice,
    what_should_have_arrived_has_and_nothing_else,
    nothing_stays_under_way,
    nothing_is_said_about_a_visit_long_after_it_was_cancelled,
    no_canary_is_seen,
    nothing_failed_unforeseen,
)
