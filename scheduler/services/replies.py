"""Texts from patients: kept first, then understood, then done, then answered. One transaction.

A text is never lost: where doing what it asks for fails, it stays, and a person must look at it; STOP alone is for
Twilio to bring again, where somebody is only in its way. Nothing that anybody writes cancels a visit.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from scheduler.domain.actors import Actor
from scheduler.domain.clinics import Clinic
from scheduler.domain.own_visits import PATIENT, OwnAction, look_at
from scheduler.domain.replies import (
    COMMANDS,
    LOST,
    REPEAT_WITHIN,
    SPOKEN_WITHIN,
    Candidate,
    Meaning,
    Said,
    is_muted,
    may_mean_texts,
    may_mean_visit,
    meaning_of,
    meant,
    only_thanks,
    overtaken,
    soon,
    wished_elsewhere,
)
from scheduler.domain.visits import Visit
from scheduler.ids import new_id
from scheduler.services.answers import Done, Talk, answer, candidates_of, leave_to_desk, said_to
from scheduler.services.opt_outs import start_texts, stop_texts
from scheduler.services.visits import change_status
from scheduler.store import inbound as store
from scheduler.store import replies
from scheduler.store.connections import Connection
from scheduler.store.hours import list_closures
from scheduler.store.links import fetch_generations
from scheduler.store.locks import lock_sender

METHOD = "sms"

# Somebody else may change a visit, or hold it, at this very moment; the second try sees what they did.
_TRIES = 2

_log = structlog.get_logger(__name__)


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A text as Twilio brings it. ``opt_out_type`` is what Twilio has answered already: STOP, START, HELP or nothing.

    ``attachments`` is how many pictures and the like came along, as a number in words.
    """

    provider_id: str
    sender: str
    recipient: str
    text: str
    opt_out_type: str = ""
    attachments: str = ""

    @property
    def body(self) -> str:
        """The text as it is kept."""
        if self.attachments.strip("0") == "":
            return self.text
        return f"{self.text} (Something was attached, which is not kept.)".strip()


async def receive(
    connection: Connection, clinics: Sequence[Clinic], incoming: Incoming, *, request_id: str, now: datetime
) -> None:
    """Keep a text and do what it asks for; the same text once more does nothing."""
    await lock_sender(connection, incoming.sender)
    ids = [clinic.id for clinic in clinics]
    if await store.was_received(connection, ids, incoming.provider_id):
        return
    clinic = await _clinic_for(connection, clinics, incoming.sender)
    patients = await replies.patients_with_phone(connection, clinic.id, incoming.sender)
    last_said = await store.last_said_of_texts(connection, clinic.id, incoming.sender)
    muted = is_muted([patient.sms_consent for patient in patients], last_said)
    meaning = meaning_of(incoming.text, opt_out_type=incoming.opt_out_type, opted_out=muted)
    repeated = meaning in COMMANDS and meaning == await store.last_said(
        connection, clinic.id, incoming.sender, since=now - REPEAT_WITHIN
    )
    talk = Talk(
        connection=connection, clinic=clinic, clinics=clinics, inbound_id=new_id(), sender=incoming.sender,
        text=incoming.text, patients=patients, muted=muted, told_by_twilio=bool(incoming.opt_out_type),
        actor=Actor(name=PATIENT, request_id=request_id), now=now,
    )  # fmt: skip
    await store.add_inbound(
        connection, clinic.id, talk.inbound_id, provider_id=incoming.provider_id, sender=incoming.sender,
        recipient=incoming.recipient, body=incoming.body, meaning=meaning,
        patient_id=patients[0].id if len(patients) == 1 else None, needs_attention=not repeated, now=now,
    )  # fmt: skip
    await replies.forget_unreachable(connection, clinic.id, incoming.sender)
    done = Done() if repeated else await _do(talk, meaning)
    await store.settle_inbound(
        connection, clinic.id, talk.inbound_id, patient_id=done.patient_id, needs_attention=done.needs_attention
    )
    _log.info("text.received", inbound_id=str(talk.inbound_id), meaning=meaning, repeated=repeated)


async def _clinic_for(connection: Connection, clinics: Sequence[Clinic], sender: str) -> Clinic:
    """Return the clinic that last texted a number, for all of them send from the same one; else the first."""
    if len(clinics) == 1:
        return clinics[0]
    found = await replies.clinic_that_texted(connection, [clinic.id for clinic in clinics], sender)
    return next((clinic for clinic in clinics if clinic.id == found), clinics[0])


async def _do(talk: Talk, meaning: Meaning) -> Done:
    """Do what a text asks for, or leave it to a person where that fails twice.

    Raises what is in the way of STOP, if that passes.
    """
    failed: Exception | None = None
    for _ in range(_TRIES):
        try:
            async with talk.connection.transaction():
                return await _HANDLERS[meaning](talk)
        except Exception as problem:
            if talk.connection.is_closed():
                raise
            # Whatever is wrong with doing what it asks for, the text itself is kept.
            _log.warning("text.not_done", inbound_id=str(talk.inbound_id), problem=type(problem).__name__)
            failed = problem
    if meaning == "stop" and isinstance(failed, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError):
        # Texts must not go on until a person has read this. Twilio brings it again, and by then nobody is in its way.
        raise failed
    return Done(needs_attention=True)


async def _stop(talk: Talk) -> Done:
    """End the texts. There is no answer: Twilio gives the only one that the law allows."""
    visit = soon(await candidates_of(talk), talk.now) if may_mean_visit(talk.text) else None
    await stop_texts(
        talk.connection, talk.clinics, talk.sender, method=METHOD, inbound=(talk.clinic.id, talk.inbound_id),
        actor=talk.actor, now=talk.now,
    )  # fmt: skip
    if visit is None:
        return Done()
    reason = "A text said CANCEL, which stopped the texts and canceled nothing. Please call: the visit may be meant."
    return await leave_to_desk(talk, "may-want-to-cancel", visit, reason)


async def _start(talk: Talk) -> Done:
    started = await start_texts(
        talk.connection, talk.clinics, talk.sender, method=METHOD, inbound=(talk.clinic.id, talk.inbound_id),
        actor=talk.actor, now=talk.now,
    )  # fmt: skip
    if started and not talk.told_by_twilio:
        await answer(msgspec.structs.replace(talk, muted=False), "optin_ack")
    return Done(needs_attention=not started and not any(patient.sms_consent for patient in talk.patients))


async def _help(talk: Talk) -> Done:
    if not talk.told_by_twilio:
        await answer(talk, "help_ack")
    return Done()


async def _confirm(talk: Talk) -> Done:
    candidates, said = await candidates_of(talk), await said_to(talk)
    if only_thanks(talk.text, said):
        return Done()
    news = overtaken(said, talk.now)
    if news and news.visit:
        return await _tell_news(talk, news, news.visit, candidates)
    if not candidates:
        return await _unclear(talk)
    visit = meant(candidates)
    if visit is None:
        await answer(talk, "which_visit", once=f"which:{talk.sender}:{talk.day}")
        reason = "A text said yes, and its phone has several visits to come. Please call and ask which."
        return await leave_to_desk(talk, "which-visit", None, reason, candidates)
    if "confirm" not in await _look(talk, visit):
        await answer(talk, "resched_request_ack", once=f"closed:{visit.id}:{talk.day}")
        reason = "A text said yes to a visit for whose time the clinic has closed since. Please call."
        return await leave_to_desk(talk, "wants-to-move", visit, reason)
    if visit.status == "confirmed":
        # Somebody who is not sure that it worked is told once more; an automatic answer would go on for ever.
        await answer(talk, "confirm_ack", visit, once=f"again:{visit.id}:{visit.version}")
    else:
        confirmed = await change_status(
            talk.connection, talk.clinic, visit.id, "confirm", version=visit.version, actor=talk.actor, now=talk.now
        )
        await answer(talk, "confirm_ack", confirmed.visit)
    return Done(patient_id=visit.patient_id)


async def _tell_news(talk: Talk, news: Said, visit: Visit, candidates: Sequence[Candidate]) -> Done:
    """Confirm nothing that whoever says yes has not seen: the news of it may wait for the morning."""
    if visit.status in LOST:
        reason = "A text said yes to a visit that was canceled or missed since. Please call."
        return await _rebook(talk, visit, reason)
    await answer(talk, "rescheduled", visit, once=f"news:{visit.id}:{visit.version}", was=news.starts_at)
    reason = "A text said yes to a visit that has moved since, and the new time was not confirmed. Please call."
    return await leave_to_desk(talk, "which-visit", visit, reason, candidates)


async def _rebook(talk: Talk, lost: Visit, reason: str) -> Done:
    await answer(talk, "resched_request_ack", once=f"rebook:{lost.id}:{talk.day}")
    return await leave_to_desk(talk, "wants-to-move", lost, reason)


async def _look(talk: Talk, visit: Visit) -> frozenset[OwnAction]:
    """Return what may be done about a visit online, as its private link has it."""
    day = talk.clinic.local(visit.starts_at).date()
    closures = await list_closures(talk.connection, talk.clinic.id, first_day=day, last_day=day, limit=1)
    return look_at(talk.clinic, visit, None, talk.now, opened=closures[0].plan.windows if closures else None).may


async def _reschedule(talk: Talk) -> Done:
    candidates, said = await candidates_of(talk), await said_to(talk)
    reason = "A text asked for another time."
    visit = wished_elsewhere(candidates, said)
    if visit is None and not candidates:
        since = talk.now - SPOKEN_WITHIN
        visit = await replies.visit_lost(talk.connection, talk.clinic.id, talk.sender, since=since)
        if visit is None:
            return await _unclear(talk)
    if visit and visit.status in LOST:
        reason = "A text asked for another time in place of a visit that was canceled or missed."
        return await _rebook(talk, visit, reason)
    if visit is None:
        await answer(talk, "resched_request_ack", once=f"move:{talk.sender}:{talk.day}")
        return await leave_to_desk(talk, "wants-to-move", None, f"{reason} Its phone has several visits.", candidates)
    linked = (
        not talk.muted
        and "move" in await _look(talk, visit)
        and await fetch_generations(talk.connection, talk.clinic.id, [visit.id])
    )
    template = "resched_link" if linked else "resched_request_ack"
    await answer(talk, template, visit, once=f"move:{visit.id}:{visit.version}:{talk.day}")
    return await leave_to_desk(talk, "wants-to-move", visit, f"{reason} It was sent the link." if linked else reason)


async def _cancel(talk: Talk) -> Done:
    """A text that speaks of canceling cancels nothing: somebody calls."""
    candidates = await candidates_of(talk)
    await _answer_unclear(talk)
    if not candidates:
        return Done(needs_attention=True)
    reason = "A text spoke of canceling, and nothing was canceled. Please read it and call."
    return await leave_to_desk(talk, "may-want-to-cancel", meant(candidates), reason, candidates, in_words=True)


async def _unclear(talk: Talk) -> Done:
    await _answer_unclear(talk)
    return Done(needs_attention=True)


async def _answer_unclear(talk: Talk) -> None:
    """Say once a day what this line reads, but not to whoever may want no texts."""
    if may_mean_texts(talk.text):
        return
    since = talk.now - timedelta(hours=24)
    if not await replies.was_answered(talk.connection, talk.clinic.id, talk.sender, "unknown_reply", since=since):
        await answer(talk, "unknown_reply")


_HANDLERS: dict[Meaning, Callable[[Talk], Awaitable[Done]]] = {
    "stop": _stop,
    "start": _start,
    "help": _help,
    "confirm": _confirm,
    "reschedule": _reschedule,
    # Nothing is offered that could be accepted yet.
    "accept": _unclear,
    "cancel": _cancel,
    "unclear": _unclear,
}
