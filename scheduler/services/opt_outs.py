"""Texts stopped and started again for a phone, by whoever writes from it or through the provider.

What is said so is recorded as what is said by a private link or at the desk is: by ``patients.record_consent``, which
lets whatever is planned follow.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.services.patients import Agreement, record_consent
from scheduler.store.connections import Connection
from scheduler.store.replies import suppress_replies, withdrawn_consents
from scheduler.store.unreachable import patients_without_refusal

# How an opt-out that the provider told us of is told from one that we were sent; and who wrote it down.
METHOD = "provider"
_PROVIDER = Actor(name=METHOD, staff=True)


async def stop_texts(
    connection: Connection,
    clinics: Sequence[Clinic],
    phone: str,
    *,
    method: str,
    inbound: tuple[UUID, UUID] | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Record for everybody with a phone, at each of these clinics, that no texts may go there; saying it twice is once.

    ``inbound`` is the text in which it was said, after the clinic that has it.
    """
    for clinic in clinics:
        for patient_id in await patients_without_refusal(connection, clinic.id, phone):
            agreement = Agreement(
                channel="sms", granted=False, method=method,
                wording_version=clinic.settings.consent_wording_version, inbound_id=_known_to(clinic, inbound),
            )  # fmt: skip
            await record_consent(connection, clinic, patient_id, agreement, actor=actor, now=now)
        await suppress_replies(connection, clinic.id, phone, now)


async def start_texts(
    connection: Connection,
    clinics: Sequence[Clinic],
    phone: str,
    *,
    method: str,
    inbound: tuple[UUID, UUID],
    actor: Actor,
    now: datetime,
) -> bool:
    """Record that texts may go to a phone again; return whether that is new.

    It is of use to those alone who had agreed before, and means the words that they agreed to then.
    """
    started = False
    for clinic in clinics:
        for withdrawn in await withdrawn_consents(connection, clinic.id, phone):
            agreement = Agreement(
                channel="sms", granted=True, method=method, wording_version=withdrawn.wording_version,
                inbound_id=_known_to(clinic, inbound),
            )  # fmt: skip
            await record_consent(connection, clinic, withdrawn.patient_id, agreement, actor=actor, now=now)
            started = True
    return started


async def record_opt_out(connection: Connection, clinic: Clinic, phone: str, *, now: datetime | None = None) -> None:
    """Record that the owner of a phone told the provider to stop texts.

    In a transaction of its own: whoever changes a patient takes the patient first and their messages afterwards.
    """
    await stop_texts(connection, [clinic], phone, method=METHOD, actor=_PROVIDER, now=now or datetime.now(UTC))


def _known_to(clinic: Clinic, inbound: tuple[UUID, UUID] | None) -> UUID | None:
    return inbound[1] if inbound and inbound[0] == clinic.id else None
