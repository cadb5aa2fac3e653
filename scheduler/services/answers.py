"""What is done about a text besides what it asks for: it is answered, or left to the desk."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.desk_tasks import TaskKind
from scheduler.domain.messages import PlannedMessage, visit_variables
from scheduler.domain.patients import Patient
from scheduler.domain.replies import REMINDED_WITHIN, SPOKEN_WITHIN, Candidate, Said, language_of
from scheduler.domain.visits import Visit
from scheduler.services.desk_tasks import open_task
from scheduler.store.connections import Connection
from scheduler.store.messages import add_messages
from scheduler.store.replies import texts_said, visits_of_phone

# An answer is of use while whoever asked remembers what they asked.
USEFUL_FOR = timedelta(hours=24)


class Talk(msgspec.Struct, frozen=True, kw_only=True):
    """A text that came in at a clinic, from whom it may be, and the transaction in which it is dealt with.

    ``muted`` is whether its phone takes no texts (``is_muted``): then nothing is answered.
    ``told_by_twilio`` is whether Twilio has answered already.
    """

    connection: Connection
    clinic: Clinic
    clinics: Sequence[Clinic]
    inbound_id: UUID
    sender: str
    text: str
    patients: Sequence[Patient]
    muted: bool
    told_by_twilio: bool
    actor: Actor
    now: datetime

    @property
    def day(self) -> str:
        """The date on the clinic's calendar."""
        return self.clinic.local(self.now).date().isoformat()


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a text: whose it turned out to be, and whether a person must still look at it."""

    patient_id: UUID | None = None
    needs_attention: bool = False


async def candidates_of(talk: Talk) -> list[Candidate]:
    """Return the visits that a text may speak of, in order of start."""
    since = talk.now - REMINDED_WITHIN
    return await visits_of_phone(talk.connection, talk.clinic.id, talk.sender, now=talk.now, prompted_since=since)


async def said_to(talk: Talk) -> list[Said]:
    """Return the texts that whoever writes was sent lately, newest first."""
    return await texts_said(talk.connection, talk.clinic.id, talk.sender, since=talk.now - SPOKEN_WITHIN)


async def answer(
    talk: Talk, template: str, visit: Visit | None = None, *, once: str = "", was: datetime | None = None
) -> None:
    """Plan an answer, in the language of whoever wrote. What ``once`` names is answered but once.

    An answer about a visit leaves only while the visit is as it says; ``was`` is the start from which it moved.
    """
    if talk.muted:
        return
    by_id = {patient.id: patient for patient in talk.patients}
    patient = by_id.get(visit.patient_id) if visit and visit.patient_id else None
    spoken = patient or next(iter(talk.patients), None)
    language = spoken.language if spoken else language_of(talk.text) or talk.clinic.settings.languages[0]
    expires_at = talk.now + USEFUL_FOR
    planned = PlannedMessage(
        visit_id=visit.id if visit else None,
        patient_id=patient.id if patient else None,
        visit_version=visit.version if visit else 0,
        kind="reply",
        template=template,
        channel="sms",
        lead_minutes=0,
        language=language,
        address=talk.sender,
        variables=(visit_variables(visit) if visit else {}) | ({"was_starts_at": was.isoformat()} if was else {}),
        not_before=talk.now,
        expires_at=min(expires_at, visit.starts_at) if visit else expires_at,
        dedupe_key=f"reply:{once or talk.inbound_id}",
    )
    await add_messages(talk.connection, talk.clinic.id, [planned])


async def leave_to_desk(
    talk: Talk,
    kind: TaskKind,
    visit: Visit | None,
    reason: str,
    candidates: Sequence[Candidate] = (),
    *,
    in_words: bool = False,
) -> Done:
    """Open a task about a visit; or, without one, about whoever has these, of whom it may be any.

    ``in_words`` is whether the text says more than its task: the task that is open already does not lead to it, so
    a person must find it in the inbox.
    """
    owners = {visit.patient_id} if visit else {one.visit.patient_id for one in candidates}
    subject = visit.id if visit else candidates[0].visit.patient_id
    owner = next(iter(owners)) if len(owners) == 1 else None
    assert subject is not None  # noqa: S101 - a hold is not texted about
    opened = await open_task(
        talk.connection, talk.clinic.id, kind=kind, subject_id=subject, visit_id=visit.id if visit else None,
        patient_id=owner, inbound_id=talk.inbound_id, reason=reason, now=talk.now,
    )  # fmt: skip
    return Done(patient_id=owner, needs_attention=in_words and opened is None)
