"""What patients may do about their own visit by its private link. One function is one use case.

Each runs in the transaction in which the link was opened. The version is the one that the patient saw.
"""

from datetime import datetime

import msgspec

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic, Language, Therapist, VisitType
from scheduler.domain.own_visits import BY_LINK, Outlook, OwnAction, Reached
from scheduler.domain.patients import Patient
from scheduler.domain.visits import Visit
from scheduler.errors import WrongStatus
from scheduler.services import visits
from scheduler.services.patients import Agreement, PatientChange, change_patient, record_consent
from scheduler.services.unsubscribes import turn_reminders
from scheduler.store.connections import Connection

# What a patient may give as the reason why they cancel, and what the desk reads.
CANCEL_REASONS = {
    "": "Canceled online by the patient",
    "time": "Canceled online by the patient: the time does not work any more",
    "travel": "Canceled online by the patient: cannot get there",
    "need": "Canceled online by the patient: the visit is not needed any more",
    "other": "Canceled online by the patient: another reason",
}


class OwnVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as its patient sees it by its link.

    ``texting`` and ``emailing`` are whether texts and reminders by email reach them; None without an email on file.
    """

    clinic: Clinic
    visit: Visit
    patient: Patient
    outlook: Outlook
    texting: Reached
    emailing: Reached | None

    @property
    def visit_type(self) -> VisitType | None:
        """What kind of visit it is; None where the clinic no longer offers it."""
        return self.clinic.visit_types.get(self.visit.visit_type)

    @property
    def therapist(self) -> Therapist | None:
        """Who treats; None where they have left the clinic."""
        return self.clinic.therapists_by_id.get(self.visit.therapist_id)


async def confirm(connection: Connection, own: OwnVisit, *, version: int, actor: Actor, now: datetime) -> None:
    """Note that the patient will come. Raises VersionMismatch or WrongStatus."""
    _check(own, version, "confirm")
    await visits.change_status(connection, own.clinic, own.visit.id, "confirm", version=version, actor=actor, now=now)


async def cancel(
    connection: Connection, own: OwnVisit, *, version: int, reason: str, actor: Actor, now: datetime
) -> None:
    """Cancel the visit; a reason that is not one of ``CANCEL_REASONS`` counts as none.

    Raises VersionMismatch, WrongStatus or TooLateToChange.
    """
    await visits.cancel(
        connection, own.clinic, own.visit.id, version=version, reason=CANCEL_REASONS.get(reason, CANCEL_REASONS[""]),
        actor=actor, now=now,
    )  # fmt: skip


async def move(
    connection: Connection,
    own: OwnVisit,
    starts_at: datetime,
    therapist: Therapist | None,
    *,
    version: int,
    actor: Actor,
    now: datetime,
) -> None:
    """Move the visit, to a therapist or to whoever is free; the old time is kept until the new one is taken.

    Choosing the time that it has changes nothing.
    Raises VersionMismatch, WrongStatus, TooLateToChange, or PlacementRefused with alternatives.
    """
    if starts_at == own.visit.starts_at and therapist in (None, own.therapist):
        return
    await visits.reschedule(
        connection, own.clinic, own.visit.id, starts_at, version=version, therapist=therapist,
        anybody=therapist is None, actor=actor, now=now,
    )  # fmt: skip


async def undo(connection: Connection, own: OwnVisit, *, version: int, actor: Actor, now: datetime) -> None:
    """Take back the patient's own cancellation. Raises VersionMismatch, WrongStatus, or PlacementRefused."""
    _check(own, version, "undo")
    await visits.undo(connection, own.clinic, own.visit.id, version=version, actor=actor, now=now)


async def turn_texts(connection: Connection, own: OwnVisit, *, wanted: bool, actor: Actor, now: datetime) -> None:
    """Record whether the patient wants texts; what is planned for them follows. What is not new is not recorded.

    Whoever stopped texts by a text or at the desk starts them again in the same way, not by a link that somebody may
    have forwarded.
    """
    if own.texting == "stopped" or wanted == (own.texting == "on"):
        return
    agreement = Agreement(
        channel="sms", granted=wanted, wording_version=own.clinic.settings.consent_wording_version, method=BY_LINK
    )
    await record_consent(connection, own.clinic, own.patient.id, agreement, actor=actor, now=now)


async def turn_emails(connection: Connection, own: OwnVisit, *, wanted: bool, actor: Actor) -> None:
    """Record whether the patient wants reminders by email."""
    await turn_reminders(connection, own.clinic, own.patient.id, wanted=wanted, actor=actor)


async def speak(connection: Connection, own: OwnVisit, language: Language, *, actor: Actor, now: datetime) -> None:
    """Write to the patient in a language from now on."""
    change = PatientChange(language=language)
    await change_patient(connection, own.clinic, own.patient.id, change, actor=actor, now=now)


def _check(own: OwnVisit, version: int, action: OwnAction) -> None:
    """Raise WrongStatus where the visit, as the patient saw it, is one about which they may not do this."""
    if version == own.visit.version and action not in own.outlook.may:
        raise WrongStatus("This cannot be done any more.", visit_status=own.visit.status, allowed=[])
