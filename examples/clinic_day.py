"""A clinic's day, driven through the API alone.

    KEY=$(scheduler api-key create example --scope admin)
    python examples/clinic_day.py --url http://127.0.0.1:8000 --key "$KEY"

It needs nothing but Python: every step is a request that any program of a front desk could make. The people are
invented. Run it against a test installation, because what it books stays booked.
"""

import argparse
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from datetime import date, datetime, timedelta
from typing import Any

ASH = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142", "email": "ash@example.com"}
JO = {"given_name": "Jo", "family_name": "Placeholder", "phone": "201 555 0143"}
SAM = {"given_name": "Sam", "family_name": "Example", "phone": "201 555 0144"}


class Refused(Exception):
    """The service said no; ``problem`` is its RFC 9457 body."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.problem = problem


class Clinic:
    """The API as a front desk's program sees it: a method and a path, and JSON both ways."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/api/v1"
        self._key = key

    def get(self, path: str, **query: str) -> Any:
        return self._ask("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def put(self, path: str, body: Any) -> Any:
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._ask("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def post(self, path: str, body: Any = None) -> Any:
        """Every intent has a key of its own: the same request sent again, after a timeout say, books nothing twice."""
        return self._ask("POST", path, body, **{"Idempotency-Key": str(uuid.uuid4())})

    def change(self, visit: dict[str, Any], action: str, **body: Any) -> Any:
        """Change a visit as it was last seen; somebody else's change in between is refused, never overwritten."""
        return self._ask(
            "POST", f"/visits/{visit['id']}/{action}", body or None,
            **{"Idempotency-Key": str(uuid.uuid4()), "If-Match": f'"{visit["version"]}"'},
        )  # fmt: skip

    def _ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the address is the caller's own
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
                return json.loads(response.read() or "null")
        except urllib.error.HTTPError as refusal:
            raise Refused(json.loads(refusal.read())) from None


def say(what: str, *lines: str) -> None:
    sys.stdout.write("\n".join([f"\n{what}", *(f"    {line}" for line in lines)]) + "\n")


def clock(visit_or_slot: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(visit_or_slot['starts_at']):%a %b %d %H:%M} with {visit_or_slot['therapist']}"


def main() -> None:
    """Live through the day, and fail loudly where the service does not do as promised."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    options.add_argument("--key", required=True)
    arguments = options.parse_args()
    clinic = Clinic(arguments.url, arguments.key)
    day = open_the_week(clinic)
    booked = book_by_telephone(clinic, day)
    move_out_of_the_way(clinic, day, booked)
    receive_a_walk_in(clinic)
    look_somebody_up(clinic)
    say("The day is done.")


def open_the_week(clinic: Clinic) -> date:
    """Set a therapist's weekly hours and return the Monday after next, on which the rest happens."""
    facts = clinic.get("/clinic")
    say(f"{facts['name']}, {facts['phone']}, {facts['timezone']}")
    weekdays = ("monday", "tuesday", "wednesday", "thursday", "friday")
    windows = [{"weekday": weekday, "from": "08:00", "to": "17:00"} for weekday in weekdays]
    answer = clinic.put("/therapists/rivera/hours", {"windows": windows})
    affected = answer["affected_visits"]
    say("Dr. Rivera works weekdays from 08:00 to 17:00.", f"Visits this leaves outside the hours: {len(affected)}")
    today = datetime.now().astimezone().date()
    return today + timedelta(days=14 - today.weekday())


def book_by_telephone(clinic: Clinic, day: date) -> list[dict[str, Any]]:
    """Book an evaluation and two follow-ups for callers, as they agree on a time with the desk."""
    booked: list[dict[str, Any]] = []
    for patient, visit_type in ((ASH, "eval-run"), (JO, "follow-up"), (ASH, "follow-up")):
        slots = clinic.get(
            "/slots", visit_type=visit_type, therapist="rivera", limit="200",
            **{"from": day.isoformat(), "to": (day + timedelta(days=5)).isoformat()},
        )["items"]  # fmt: skip
        booked.append(book_first_free(clinic, visit_type, patient, slots))
    say("Booked by telephone:", *(f"{one['patient']['display_name']}: {clock(one)}" for one in booked))
    first = booked[0]
    reminders = [f"{one['template']} by {one['channel']} on {one['due_at'][:16]}" for one in first["reminders"]]
    say(f"{first['patient']['display_name']} will be reminded:", *reminders)
    confirmed = clinic.change(first, "confirm")
    say(f"{confirmed['patient']['display_name']} says on the telephone that they will come: {confirmed['status']}")
    return [confirmed, *booked[1:]]


def book_first_free(
    clinic: Clinic, visit_type: str, patient: dict[str, Any], slots: list[dict[str, Any]]
) -> dict[str, Any]:
    """Book the first slot in which the patient is free as well; a time somebody was faster at is simply skipped."""
    for slot in slots:
        try:
            return clinic.post(
                "/visits",
                {
                    "visit_type": visit_type,
                    "starts_at": slot["starts_at"],
                    "therapist": slot["therapist"],
                    "patient": patient | {"sms_consent": {"granted": True, "wording_version": "2026-11"}},
                },
            )
        except Refused as refused:
            if refused.problem["code"] != "slot-taken":
                raise
    raise SystemExit("The week is full.")


def move_out_of_the_way(clinic: Clinic, day: date, booked: list[dict[str, Any]]) -> None:
    """Give the therapist the week off, and move each visit inside it to a time the service proposes."""
    bounds = {"from": day.isoformat(), "to": (day + timedelta(days=5)).isoformat()}
    absence = clinic.post("/therapists/rivera/time-off", {**bounds, "reason": "away"})
    affected = absence["affected_visits"]
    found = {one["id"] for one in affected}
    if missing := [one for one in booked if one["id"] not in found]:
        raise SystemExit(f"Not told about {len(missing)} visits inside the time off.")
    say("Dr. Rivera is away that week. These visits are affected; none was dropped:")
    for visit in affected:
        moved = move_to_first_free(clinic, visit, visit["alternatives"])
        say(f"{visit['patient']['display_name']}: {clock(visit)}", f"moved to {clock(moved)}")
    explained = clinic.get("/availability/explain", therapist="rivera", date=day.isoformat(), visit_type="follow-up")
    reasons = sorted({reason for one in explained["items"] for reason in one["reasons"]})
    say("Why is nothing open with Dr. Rivera that Monday?", ", ".join(reasons))
    clinic.delete(f"/therapists/rivera/time-off/{absence['id']}")


def move_to_first_free(clinic: Clinic, visit: dict[str, Any], slots: list[dict[str, Any]]) -> dict[str, Any]:
    """Move a visit to the first proposal that is still free."""
    for slot in slots:
        try:
            return clinic.change(visit, "reschedule", starts_at=slot["starts_at"], therapist=slot["therapist"])
        except Refused as refused:
            if refused.problem["code"] != "slot-taken":
                raise
    raise SystemExit("None of the proposals was free.")


def receive_a_walk_in(clinic: Clinic) -> None:
    """Somebody stands at the desk: book them now, check them in, and mend a slip of the hand."""
    now = datetime.now().astimezone().replace(second=0, microsecond=0)
    visit = clinic.post(
        "/visits",
        {
            "visit_type": "follow-up", "starts_at": now.isoformat(), "therapist": "marsh", "patient": SAM,
            "overbook": {"reason": "walk-in, squeezed in"},
        },
    )  # fmt: skip
    say(f"A walk-in, {visit['patient']['display_name']}, at {clock(visit)}: {visit['overbook_reason']}")
    missed = clinic.change(visit, "no-show")
    say(f"Marked by mistake: {missed['status']}")
    visit = clinic.change(missed, "undo")
    say(f"Undone: {visit['status']}")
    visit = clinic.change(visit, "arrive")
    visit = clinic.change(visit, "complete")
    say(f"Checked in, treated: {visit['status']}")
    history = clinic.get(f"/visits/{visit['id']}/history")["items"]
    say("Its history:", *(f"{one['at'][11:19]} {one['action']} by {one['actor']['name']}" for one in history))


def look_somebody_up(clinic: Clinic) -> None:
    """Find a caller by the end of their number, mend their record, and hand over everything that is held of them."""
    (patient,) = clinic.get("/patients", q="0142")["items"]
    patient = clinic.patch(f"/patients/{patient['id']}", {"language": "es"})
    held = clinic.get(f"/patients/{patient['id']}/export")
    say(
        f"Found by 0142: {patient['given_name']} {patient['family_name'][:1]}., who prefers {patient['language']}.",
        *(f"{name}: {len(held[name])}" for name in ("consents", "visits", "messages", "changes", "readings")),
    )


if __name__ == "__main__":
    main()
