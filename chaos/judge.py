"""The promises about visits, each a function of the records that returns what breaks it, in words.

None of them asks the service, and none trusts a constraint: they compare what clients were told with rows, and rows
with each other, by brute force.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

from chaos.journal import Ask
from chaos.records import Records

Promise = Callable[[Records], Iterator[str]]

# What leads where, by the traces that are left: written down once more, apart from the service's own table.
STEPS: dict[str, frozenset[str]] = {
    "visit.booked": frozenset({""}),
    "visit.rescheduled": frozenset({"booked", "confirmed"}),
    "visit.confirmed": frozenset({"booked"}),
    "visit.cancelled": frozenset({"booked", "confirmed"}),
    "visit.arrived": frozenset({"booked", "confirmed"}),
    "visit.completed": frozenset({"arrived"}),
    "visit.undone": frozenset({"confirmed", "cancelled", "arrived", "completed", "no_show"}),
}
LEADS_TO = {
    "visit.booked": "booked", "visit.rescheduled": "booked", "visit.confirmed": "confirmed",
    "visit.cancelled": "cancelled", "visit.arrived": "arrived", "visit.completed": "completed",
}  # fmt: skip
TRACES = {
    "book": "visit.booked", "reschedule": "visit.rescheduled", "confirm": "visit.confirmed",
    "cancel": "visit.cancelled", "arrive": "visit.arrived", "complete": "visit.completed", "undo": "visit.undone",
}  # fmt: skip
LIVE = frozenset({"held", "booked", "confirmed", "arrived"})


def nobody_and_nothing_is_in_two_visits_at_once(records: Records) -> Iterator[str]:
    """Every pair of live visits that share a therapist, a room, a device or a patient is compared, buffers included."""
    by_resource: defaultdict[Any, list[tuple[datetime, datetime, dict[str, Any]]]] = defaultdict(list)
    for visit in records.rows["visits"]:
        if visit["status"] not in LIVE:
            continue
        kind = records.visit_types[visit["visit_type"]]
        starts = visit["starts_at"] - timedelta(minutes=kind.get("buffer_before_minutes", 0))
        ends = visit["ends_at"] + timedelta(minutes=kind.get("buffer_after_minutes", 0))
        if visit["overbook_reason"] is None:
            for resource in (visit["therapist_id"], visit["room_id"], *visit["equipment_ids"]):
                if resource is not None:
                    by_resource[resource].append((starts, ends, visit))
        if visit["patient_id"] is not None:
            by_resource[visit["patient_id"]].append((visit["starts_at"], visit["ends_at"], visit))
    for resource, stretches in by_resource.items():
        for (starts, ends, one), (starts_too, ends_too, other) in combinations(stretches, 2):
            if starts < ends_too and starts_too < ends:
                yield f"visits {one['id']} and {other['id']} both keep {resource} busy at {max(starts, starts_too)}"


def what_keeps_something_busy_is_a_live_visit_and_the_other_way_round(records: Records) -> Iterator[str]:
    kept: defaultdict[Any, set[Any]] = defaultdict(set)
    for row in records.rows["occupancy"]:
        kept[row["visit_id"]].add(row["resource_id"])
    for visit in records.rows["visits"]:
        needs = {visit["therapist_id"], visit["room_id"], visit["patient_id"], *visit["equipment_ids"]} - {None}
        expected = needs if visit["status"] in LIVE else set[Any]()
        found = kept[visit["id"]]
        if found != expected:
            yield f"visit {visit['id']} ({visit['status']}) keeps {len(found)} things busy and not {len(expected)}"


def everything_acknowledged_is_there_as_acknowledged(records: Records) -> Iterator[str]:
    visits = {str(visit["id"]): visit for visit in records.rows["visits"]}
    traces = _traces(records)
    for ask in records.asks:
        if ask.outcome != "told" or ask.what not in TRACES:
            continue
        told = ask.told
        if told["id"] not in visits:
            yield f"lost: {ask.what} {told['id']} was acknowledged and is not there ({_how(ask)})"
            continue
        found = [
            trace for trace in traces[told["id"]]
            if trace["action"] == TRACES[ask.what] and trace["details"]["version"] == told["version"]
        ]  # fmt: skip
        repeated = ask.what == "confirm" and told["version"] == ask.version
        if len(found) != 1 and not repeated:
            words = f"{ask.what} of {told['id']} to version {told['version']}"
            yield f"lost: {words} left {len(found)} traces ({_how(ask)})"
        elif ask.what in ("book", "reschedule") and not _is_at(found[0], told):
            yield f"lost: {ask.what} of {told['id']} is at another time or with somebody else than was told"


def what_was_said_beside_visits_is_there(records: Records) -> Iterator[str]:
    """Holds, absences and texts that were acknowledged are there, and no absence is that nobody asked for."""
    there = {
        "hold": {str(visit["id"]) for visit in records.rows["visits"]},
        "time-off": {str(absence["id"]) for absence in records.rows["time_off"]},
    }
    texts = {text["provider_id"] for text in records.rows["inbound_messages"]}
    told = {what: {ask.told["id"]: ask for ask in records.asks if (ask.what, ask.outcome) == (what, "told")}
            for what in there}  # fmt: skip
    taken_back = {ask.visit for ask in records.asks if (ask.what, ask.outcome) == ("time-on", "told")}
    for what, asks in told.items():
        for missing in asks.keys() - there[what] - taken_back:
            yield f"lost: {what} {missing} was acknowledged and is not there ({_how(asks[missing])})"
    for invented in there["time-off"] - told["time-off"].keys():
        yield f"invented: the absence {invented}, which nobody asked for"
    for still in there["time-off"] & taken_back:
        yield f"lost: the absence {still} is there, and it was acknowledged that it is not"
    for ask in records.asks:
        if (ask.what, ask.outcome) == ("text", "told") and ask.wants["sid"] not in texts:
            yield f"lost: a text was taken and is not there ({_how(ask)})"


def nothing_is_there_that_nobody_asked_for(records: Records) -> Iterator[str]:
    """Each trace belongs to one ask that was told or is in doubt; each booked visit to one marker."""
    markers = {patient["id"]: patient["family_name"] for patient in records.rows["patients"]}
    asked = {ask.marker: ask for ask in records.asks if ask.what == "book"}
    booked = Counter(markers[visit["patient_id"]] for visit in records.rows["visits"] if visit["patient_id"])
    for marker, number in booked.items():
        if number > 1:
            yield f"doubled: {marker} asked for one visit and has {number} ({_how(asked[marker])})"
        if marker not in asked or asked[marker].outcome == "refused":
            yield f"invented: {marker} has a visit and was {'refused' if marker in asked else 'never there'}"
    texted = {ask.visit for ask in records.asks if ask.what == "text" and ask.wants["text"] == "C"}
    changes: defaultdict[tuple[str, str, int], list[Ask]] = defaultdict(list)
    for ask in records.asks:
        if ask.what in TRACES and ask.what != "book" and ask.outcome != "refused":
            changes[ask.visit, TRACES[ask.what], ask.version + 1].append(ask)
    for visit_id, traces in _traces(records).items():
        for trace in traces:
            if trace["action"] == "visit.booked":
                continue
            key = (visit_id, trace["action"], trace["details"]["version"])
            by_text = trace["action"] == "visit.confirmed" and visit_id in texted
            if not changes[key] and not by_text:
                yield f"invented: {trace['action']} of {visit_id} to version {key[2]}, which nobody asked for"


def one_key_is_one_effect(records: Records) -> Iterator[str]:
    for ask in records.asks:
        if len(set(ask.ids)) > 1:
            yield f"doubled: {ask.what} under one key was told as {sorted(set(ask.ids))} ({_how(ask)})"


def versions_only_rise_and_every_step_is_allowed(records: Records) -> Iterator[str]:
    visits = {str(visit["id"]): visit for visit in records.rows["visits"]}
    for visit_id, traces in _traces(records).items():
        visit, status, before = visits[visit_id], "", [""]
        versions = [trace["details"]["version"] for trace in traces]
        if any(later != earlier + 1 for earlier, later in pairwise(versions)) or versions[0] != 1:
            yield f"visit {visit_id} went through the versions {versions}"
        for trace in traces:
            action = trace["action"]
            if status not in STEPS.get(action, frozenset()):
                yield f"visit {visit_id} was {status or 'new'} when {action} happened"
            status = trace["details"]["to"] if action == "visit.undone" else LEADS_TO.get(action, "?")
            before.append(status)
        if (visit["version"], visit["status"]) != (versions[-1], status):
            yield f"visit {visit_id} is {visit['status']} {visit['version']}, its trace says {status} {versions[-1]}"


def who_is_told_of_an_absence_is_told_of_every_visit_in_it(records: Records) -> Iterator[str]:
    """A visit inside an absence was there when the absence was noted, and was told of; none came into it later."""
    told = {ask.told["id"]: ask for ask in records.asks if ask.what == "time-off" and ask.outcome == "told"}
    for absence in records.rows["time_off"]:
        ask = told.get(str(absence["id"]))
        if ask is None:
            continue
        named = {affected["visit"]["id"] if "visit" in affected else affected["id"]
                 for affected in ask.told["affected_visits"]}  # fmt: skip
        starts, ends = absence["during"].lower, absence["during"].upper
        for visit in records.rows["visits"]:
            inside = visit["starts_at"] < ends and starts < visit["ends_at"]
            mine = visit["therapist_id"] == absence["therapist_id"] and visit["status"] in LIVE and visit["patient_id"]
            if inside and mine and str(visit["id"]) not in named and visit["overbook_reason"] is None:
                yield f"visit {visit['id']} is inside the absence {absence['id']}, and nobody was told"


def holds_end(records: Records) -> Iterator[str]:
    for visit in records.rows["visits"]:
        if visit["status"] == "held":
            yield f"hold {visit['id']} ran out and was never ended"


def _traces(records: Records) -> dict[str, list[dict[str, Any]]]:
    """Return by visit what its audit says happened to it, in order; holds and looks are left out."""
    traces: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in sorted(
        records.rows["audit_events"], key=lambda event: (event["details"].get("version", 0), event["at"])
    ):
        action = event["action"]
        if event["visit_id"] is not None and action.startswith("visit.") and action in {*STEPS, "visit.no_show"}:
            traces[str(event["visit_id"])].append(event)
    return traces


def _is_at(trace: dict[str, Any], told: dict[str, Any]) -> bool:
    details = trace["details"]
    place = details.get("to", details)
    same_time = datetime.fromisoformat(place["starts_at"]) == datetime.fromisoformat(told["starts_at"])
    return same_time and place["therapist"] == told["therapist"]


def _how(ask: Ask) -> str:
    tries = ", ".join(f"{one.web} {one.status or one.error}" for one in ask.tries[-6:])
    return f"ask {ask.number}: {tries}{', told by its key' if ask.gave_up else ''}"


PROMISES: tuple[Promise, ...] = (
    nobody_and_nothing_is_in_two_visits_at_once,
    what_keeps_something_busy_is_a_live_visit_and_the_other_way_round,
    everything_acknowledged_is_there_as_acknowledged,
    what_was_said_beside_visits_is_there,
    nothing_is_there_that_nobody_asked_for,
    one_key_is_one_effect,
    versions_only_rise_and_every_step_is_allowed,
    who_is_told_of_an_absence_is_told_of_every_visit_in_it,
    holds_end,
)
