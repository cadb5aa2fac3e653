"""What is open at the desk, made ready for its page: words, addresses, and what may be done about each thing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.domain.inbox import Item, Row, first_step, may_fix, may_resend
from scheduler.store.inbox import Phone
from scheduler.web.staff import message_words as words
from scheduler.web.staff.session import StaffMember

MESSAGES = "/staff/messages"

# What a sort of item looks like, and what taking it off the list without a call is called.
_TONES = {"failure": "red", "reply": "brand", "task": "amber"}


def look_at(
    item: Item, staff: StaffMember, now: datetime, *, call: str = "", phones: Sequence[Phone] | None = None
) -> dict[str, Any]:
    """Return an item as its line shows it. ``call`` is the address that shows its phones, which is open with them."""
    step = first_step(item, now)
    leave = ("dropped", "Drop") if item.sort == "failure" else ("done", "Done")
    look = {
        **row_look(item, staff, now),
        "id": item.id,
        "sort": item.sort,
        "tone": _TONES[item.sort],
        "heading": words.heading(item),
        "text": item.text,
        "step": step,
        "step_words": leave[1] if step == "done" else words.step_words(item, step),
        "leave": leave,
        "call": call if item.can_be_called else "",
        "fix": f"{MESSAGES}/{item.id}/fix" if may_fix(item) else "",
        "fix_words": words.step_words(item, "fix") if item.message else "",
        "resend": may_resend(item, now),
        "off": f"{MESSAGES}/{item.sort}/{item.id}/off",
        "phones": [_phone(phone, item, staff) for phone in phones or ()],
    }
    if not look["names"]:
        look["names"] = [f"Number ending {item.sender_ending}"] if item.sender_ending else []
    return look


def row_look(row: Row, staff: StaffMember, now: datetime) -> dict[str, Any]:
    """Return what every list shows of a line: whose it is, which visits, when, and why."""
    today = staff.clinic.local(now)
    visits = [words.visit_line(visit, staff.clinic, today) for visit in row.visits]
    shared = row.patient is None and len(row.people) > 1
    return {
        "at": words.near(staff.clinic.local(row.at), today),
        "names": words.addressee(row, hidden=staff.hide_names),
        "visits": [
            {**line, "name": words.name(line["patient"], hidden=staff.hide_names) if shared else ""} for line in visits
        ],
        "languages": sorted({words.LANGUAGES[person.language] for person in row.people} - {"English"}),
        "reason": row.reason,
        "detail": words.outcome(row.message) if row.message else "",
        "what": words.message_name(row.message.kind, row.message.channel) if row.message else "",
        "language": words.LANGUAGES[row.message.language] if row.message else "",
        "state": words.state(row.message) if row.message else "",
        "message": row.message,
    }


def as_item(row: Row) -> Item | None:
    """Return the line of a message as what is to be seen to about it; None for a line that is of no message."""
    if row.message is None:
        return None
    return Item(
        sort="failure", id=row.message.id, kind=row.message.kind, at=row.at, reason=row.reason, patient=row.patient,
        visits=row.visits, message=row.message,
    )  # fmt: skip


def seen_to(row: Row, staff: StaffMember, names: Mapping[str, str], now: datetime) -> str:
    """Return who saw to a message that failed, as in "Seen to by A.M., Today 9:40 AM", or "" where nobody has."""
    message = row.message
    if message is None or message.handled_by is None or message.handled_at is None:
        return ""
    by = names.get(message.handled_by, message.handled_by)
    return f"Seen to by {by}, {words.near(staff.clinic.local(message.handled_at), staff.clinic.local(now))}"


def _phone(phone: Phone, item: Item, staff: StaffMember) -> dict[str, str]:
    people = {person.id: person for person in item.people}
    person = people.get(phone.patient_id) if phone.patient_id else None
    full = f"{phone.given_name} {phone.family_name}" if phone.given_name else "Nobody on file"
    return {
        "number": words.shown_phone(phone.number),
        "dial": phone.number,
        "name": words.name(person, hidden=True) if person and staff.hide_names else full,
        "language": words.LANGUAGES[person.language] if person else "",
    }


def read_id(text: str) -> UUID | None:
    """Return the id that an address names, or None where it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
