"""What patients text back, from the word to the answer: through the application, the outbox and a Twilio."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
import time_machine

from scheduler.domain.clinics import Clinic
from scheduler.services import replies
from tests.integration.requests import ASH, act, book, messages_of
from tests.integration.texting import Line

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
TUESDAY = "2026-12-08T10:00:00-05:00"
TUESDAY_AT_TEN = datetime.fromisoformat(TUESDAY)
WEDNESDAY = "2026-12-09T10:00:00-05:00"
THURSDAY = "2026-12-10T10:00:00-05:00"
FRIDAY = "2026-12-11T10:00:00-05:00"
DAY_BEFORE = TUESDAY_AT_TEN - timedelta(hours=23)
PHONE = "+12015550142"
STRANGER = "+12015550177"

BY_TEXT: dict[str, Any] = ASH | {"email": None}
ANA = BY_TEXT | {"given_name": "Ana", "language": "es"}
CHILD = BY_TEXT | {"given_name": "Kit"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=True) as moving:
        yield moving


async def reminded(
    desk: httpx.AsyncClient, line: Line, clock: time_machine.Traveller, patient: dict[str, Any] = BY_TEXT
) -> dict[str, Any]:
    """Book for Tuesday, and let all texts up to the reminder of the day before go out."""
    visit = (await book(desk, "follow-up", TUESDAY, patient=patient)).json()
    await line.send()
    clock.move_to(DAY_BEFORE)
    await line.send()
    assert "tomorrow" in line.heard(PHONE)[-1] or "mañana" in line.heard(PHONE)[-1]
    return visit


async def status_of(desk: httpx.AsyncClient, visit: dict[str, Any]) -> str:
    return (await desk.get(f"/api/v1/visits/{visit['id']}")).json()["status"]


async def inbox(desk: httpx.AsyncClient, **filters: str) -> list[dict[str, Any]]:
    return (await desk.get("/api/v1/inbound", params=filters)).json()["items"]


async def open_tasks(desk: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await desk.get("/api/v1/tasks", params={"open": "true"})).json()["items"]


async def consents_of(desk: httpx.AsyncClient, visit: dict[str, Any]) -> list[tuple[bool, str]]:
    answer = await desk.get(f"/api/v1/patients/{visit['patient']['id']}/consents")
    return [(one["granted"], one["method"]) for one in answer.json()["items"] if one["channel"] == "sms"]


@pytest.mark.parametrize(
    ("patient", "words", "answered"),
    [
        (BY_TEXT, "C", "thank you, Tue Dec 8 10:00 AM is confirmed."),
        (BY_TEXT, " yes please ", "thank you, Tue Dec 8 10:00 AM is confirmed."),
        (BY_TEXT, "👍", "thank you, Tue Dec 8 10:00 AM is confirmed."),
        (ANA, "Sí", "queda confirmada."),
        (ANA, "confirmo", "queda confirmada."),
    ],
)
async def test_c_confirms_the_visit_and_says_so(
    line: Line,
    desk: httpx.AsyncClient,
    clock: time_machine.Traveller,
    patient: dict[str, Any],
    words: str,
    answered: str,
) -> None:
    visit = await reminded(desk, line, clock, patient)
    await line.text(PHONE, words)
    assert await status_of(desk, visit) == "confirmed"
    assert answered in line.heard(PHONE)[-1]
    (received,) = await inbox(desk)
    assert (received["meaning"], received["needs_attention"]) == ("confirm", False)
    assert received["patient"]["id"] == visit["patient"]["id"]
    history = (await desk.get(f"/api/v1/visits/{visit['id']}/history")).json()["items"]
    assert [(one["action"], one["actor"]["name"]) for one in history][-1] == ("visit.confirmed", "patient")


async def test_the_same_text_brought_twice_is_one_text(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await reminded(desk, line, clock)
    heard = len(line.heard(PHONE))
    for _ in range(3):
        await line.text(PHONE, "C", MessageSid="SM" + "c" * 32)
    assert len(line.heard(PHONE)) == heard + 1
    assert len(await inbox(desk)) == 1


async def test_the_same_letter_within_seconds_is_one_command(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await reminded(desk, line, clock)
    heard = len(line.heard(PHONE))
    await line.text(PHONE, "C")
    await line.text(PHONE, "c")
    assert len(line.heard(PHONE)) == heard + 1
    assert len(await inbox(desk)) == 2
    assert await inbox(desk, needs_attention="true") == []


async def test_who_confirms_again_is_told_once_more_and_then_no_more(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await reminded(desk, line, clock)
    heard = len(line.heard(PHONE))
    for minutes in range(5):
        clock.move_to(DAY_BEFORE + timedelta(minutes=minutes + 1))
        await line.text(PHONE, "C")
    assert len(line.heard(PHONE)) == heard + 2
    assert len(set(line.heard(PHONE)[heard:])) == 1


async def test_of_several_visits_the_one_just_reminded_of_is_confirmed(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    later = (await book(desk, "follow-up", THURSDAY, patient=BY_TEXT)).json()
    visit = await reminded(desk, line, clock)
    await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "confirmed"
    assert await status_of(desk, later) == "booked"


async def test_a_reminder_of_a_time_that_is_no_longer_so_tells_nothing(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    later = (await book(desk, "follow-up", THURSDAY, patient=BY_TEXT)).json()
    visit = await reminded(desk, line, clock)
    moved = await act(desk, visit, "reschedule", starts_at="2026-12-15T10:00:00-05:00", notify=False)
    assert moved.is_success, moved.text
    await line.text(PHONE, "C")
    assert [await status_of(desk, one) for one in (visit, later)] == ["booked", "booked"]
    assert [task["kind"] for task in await open_tasks(desk)] == ["which-visit"]


async def test_an_answer_is_no_news_of_a_visit(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    await line.text(PHONE, "C")
    heard = len(line.heard(PHONE))
    for action, body in (("cancel", {"reason": "a slip", "notify": False}), ("undo", {})):
        seen = (await desk.get(f"/api/v1/visits/{visit['id']}")).json()
        assert (await act(desk, seen, action, **body)).is_success
    await line.send()
    assert len(line.heard(PHONE)) == heard


async def test_where_the_visit_cannot_be_told_nothing_is_confirmed_and_the_desk_calls(
    line: Line, desk: httpx.AsyncClient
) -> None:
    visits = [(await book(desk, "follow-up", start, patient=BY_TEXT)).json() for start in (TUESDAY, THURSDAY)]
    await line.send()
    await line.text(PHONE, "C")
    assert [await status_of(desk, visit) for visit in visits] == ["booked", "booked"]
    assert "more than one visit" in line.heard(PHONE)[-1]
    (task,) = await open_tasks(desk)
    assert (task["kind"], task["visit_id"]) == ("which-visit", None)
    assert task["patient"]["id"] == visits[0]["patient"]["id"]
    assert task["inbound_id"] == (await inbox(desk))[0]["id"]


async def test_a_phone_that_parent_and_child_share_confirms_the_one_reminded_of(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    childs = (await book(desk, "follow-up", THURSDAY, patient=CHILD)).json()
    parents = await reminded(desk, line, clock)
    await line.text(PHONE, "C")
    assert (await status_of(desk, parents), await status_of(desk, childs)) == ("confirmed", "booked")
    (received,) = await inbox(desk)
    assert received["patient"]["id"] == parents["patient"]["id"]


async def test_a_phone_with_two_patients_of_one_day_is_asked_and_neither_is_confirmed(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    at_eleven = "2026-12-08T11:00:00-05:00"
    childs = (await book(desk, "follow-up", at_eleven, patient=CHILD)).json()
    parents = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.pool.execute("update messages set state = 'sent', sent_at = $1 where kind = 'reminder'", DAY_BEFORE)
    clock.move_to(DAY_BEFORE)
    await line.text(PHONE, "C")
    assert (await status_of(desk, parents), await status_of(desk, childs)) == ("booked", "booked")
    (task,) = await open_tasks(desk)
    assert (task["kind"], task["patient"]) == ("which-visit", None)
    (received,) = await inbox(desk)
    assert received["patient"] is None


@pytest.mark.parametrize(
    ("patient", "word", "answered"),
    [(BY_TEXT, "R", "choose a new time at "), (ANA, "Cambiar", "elija otro horario en ")],
)
async def test_r_sends_the_link_and_leaves_a_task(
    line: Line,
    desk: httpx.AsyncClient,
    clock: time_machine.Traveller,
    patient: dict[str, Any],
    word: str,
    answered: str,
) -> None:
    visit = await reminded(desk, line, clock, patient)
    clock.move_to(TUESDAY_AT_TEN - timedelta(days=3))
    await line.text(PHONE, word)
    assert answered + f"{line.url}/m/" in line.heard(PHONE)[-1]
    assert await status_of(desk, visit) == "booked"
    (task,) = await open_tasks(desk)
    assert (task["kind"], task["visit_id"]) == ("wants-to-move", visit["id"])


async def test_r_when_it_is_too_late_to_move_online_is_for_the_desk(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    clock.move_to(TUESDAY_AT_TEN - timedelta(minutes=10))
    await line.text(PHONE, "R")
    assert "The front desk will contact you" in line.heard(PHONE)[-1]
    assert [task["visit_id"] for task in await open_tasks(desk)] == [visit["id"]]


async def test_r_after_a_cancellation_asks_for_another_visit(line: Line, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    assert (await act(desk, visit, "cancel", reason="storm", by="clinic")).is_success
    await line.send()
    await line.text(PHONE, "R")
    assert "The front desk will contact you" in line.heard(PHONE)[-1]
    assert [(task["kind"], task["visit_id"]) for task in await open_tasks(desk)] == [("wants-to-move", visit["id"])]


async def test_r_without_a_visit_is_not_understood(line: Line, desk: httpx.AsyncClient) -> None:
    await line.text(STRANGER, "R")
    assert "reads only C (confirm) or R (reschedule)" in line.heard(STRANGER)[-1]
    assert [one["text"] for one in await inbox(desk, needs_attention="true")] == ["R"]


@pytest.mark.parametrize("words", ["STOP", "stop.", "Please stop texting me", "NO MÁS", "Parar", "baja"])
async def test_stop_ends_the_texts_and_what_was_planned_is_not_sent(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, words: str
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.send()
    heard = len(line.heard(PHONE))
    await line.text(PHONE, words)
    clock.move_to(DAY_BEFORE)
    await line.send()
    assert len(line.heard(PHONE)) == heard
    assert await consents_of(desk, visit) == [(True, "api"), (False, "sms")]
    assert {one["state"] for one in await messages_of(desk, visit) if one["kind"] == "reminder"} == {"suppressed"}
    (received,) = await inbox(desk)
    assert (received["text"], received["meaning"], received["needs_attention"]) == (words, "stop", False)
    assert await status_of(desk, visit) == "booked"


async def test_stop_ends_an_answer_that_had_not_left_and_there_is_none_to_stop_itself(
    line: Line, desk: httpx.AsyncClient
) -> None:
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.send()
    heard = len(line.heard(PHONE))
    await line.twilio.text_us(line.url, PHONE, "hello?")
    await line.twilio.text_us(line.url, PHONE, "STOP")
    await line.send()
    await line.text(PHONE, "hello again?")
    await line.text(PHONE, "help")
    assert len(line.heard(PHONE)) == heard


async def test_a_strangers_stop_ends_an_answer_that_had_not_left(line: Line) -> None:
    await line.twilio.text_us(line.url, STRANGER, "hello?")
    await line.twilio.text_us(line.url, STRANGER, "STOP")
    assert [row["state"] for row in await line.rows("select state from messages")] == ["cancelled"]
    await line.send()
    assert line.heard(STRANGER) == []


async def test_stop_holds_at_every_clinic_that_texts_from_the_number(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    elsewhere = await another_clinic(line, clinic)
    line.app.state.directory.replace([clinic, elsewhere])
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.pool.execute(
        """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
        values ($1, $1, 'Ash', 'Sample', 'sample ash', $2, 'en')""",
        elsewhere.id,
        PHONE,
    )
    await line.twilio.text_us(line.url, PHONE, "STOP")
    said = await line.rows("select clinic_id from consents where not granted and method = 'sms'")
    assert {row["clinic_id"] for row in said} == {clinic.id, elsewhere.id}
    noted = await line.rows(
        "select details ->> 'inbound' as inbound from audit_events where clinic_id = $1", elsewhere.id
    )
    assert [row["inbound"] for row in noted] == [None]


async def another_clinic(line: Line, clinic: Clinic) -> Clinic:
    other = uuid4()
    await line.pool.execute(
        """insert into clinics (id, code, position, timezone, settings)
        select $1, 'other', 9, timezone, settings from clinics where id = $2""",
        other,
        clinic.id,
    )
    return msgspec.structs.replace(clinic, id=other, code="other")


async def test_stop_holds_for_everybody_with_the_phone_and_says_where_it_was_said(
    line: Line, desk: httpx.AsyncClient
) -> None:
    visits = [
        (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json(),
        (await book(desk, "follow-up", THURSDAY, patient=CHILD)).json(),
    ]
    await line.text(PHONE, "STOP")
    await line.text(PHONE, "STOP")
    for visit in visits:
        assert await consents_of(desk, visit) == [(True, "api"), (False, "sms")]
    (first, _) = sorted(await inbox(desk), key=lambda one: one["received_at"])
    noted = await line.rows(
        "select actor, details ->> 'inbound' as inbound from audit_events where action = 'patient.declined'"
    )
    assert noted == [{"actor": "patient", "inbound": first["id"]}] * 2


async def test_who_has_stopped_still_confirms_and_hears_nothing(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    await line.text(PHONE, "STOP")
    heard = len(line.heard(PHONE))
    await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "confirmed"
    assert len(line.heard(PHONE)) == heard


@pytest.mark.parametrize("word", ["CANCEL", "Cancelar", "cancel please"])
async def test_cancel_ends_the_texts_cancels_no_visit_and_has_the_desk_call(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, word: str
) -> None:
    visit = await reminded(desk, line, clock)
    heard = len(line.heard(PHONE))
    await line.text(PHONE, word)
    assert await status_of(desk, visit) == "booked"
    assert (await consents_of(desk, visit))[-1] == (False, "sms")
    (task,) = await open_tasks(desk)
    assert (task["kind"], task["visit_id"]) == ("may-want-to-cancel", visit["id"])
    assert len(line.heard(PHONE)) == heard


async def test_cancel_long_before_a_visit_is_about_the_texts_alone(line: Line, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.text(PHONE, "CANCEL")
    assert await open_tasks(desk) == []
    assert (await consents_of(desk, visit))[-1] == (False, "sms")


async def test_a_sentence_about_canceling_stops_nothing_cancels_nothing_and_has_the_desk_call(
    line: Line, desk: httpx.AsyncClient
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.text(PHONE, "I must cancel my appointment")
    assert await status_of(desk, visit) == "booked"
    assert await consents_of(desk, visit) == [(True, "api")]
    (task,) = await open_tasks(desk)
    assert (task["kind"], task["visit_id"]) == ("may-want-to-cancel", visit["id"])


async def test_start_gives_back_what_stop_took(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.text(PHONE, "STOP")
    await line.text(PHONE, "START")
    assert "texts are on again" in line.heard(PHONE)[-1]
    assert (await consents_of(desk, visit))[-1] == (True, "sms")
    clock.move_to(DAY_BEFORE)
    await line.send()
    assert "tomorrow, Tue Dec 8" in line.heard(PHONE)[-1]


async def test_who_stops_and_starts_again_is_answered_though_the_same_was_asked_before(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.send()
    await line.twilio.text_us(line.url, PHONE, "R")
    await line.text(PHONE, "STOP")
    await line.text(PHONE, "START")
    clock.shift(timedelta(minutes=1))
    await line.text(PHONE, "move it please")
    assert [said.partition(": ")[2][:12] for said in line.heard(PHONE)] == [
        "you are book",
        "texts are on",
        "choose a new",
    ]


async def test_start_is_no_consent_from_somebody_who_never_gave_one(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    silent = {name: value for name, value in BY_TEXT.items() if name != "sms_consent"}
    visit = (await book(desk, "follow-up", TUESDAY, patient=silent)).json()
    await line.text(PHONE, "START")
    assert await consents_of(desk, visit) == []
    assert line.heard(PHONE) == []
    assert len(await inbox(desk, needs_attention="true")) == 1
    await line.text(PHONE, "STOP")
    clock.move_to(NOW + timedelta(minutes=1))
    await line.text(PHONE, "START")
    assert await consents_of(desk, visit) == [(False, "sms")]


async def test_where_twilio_has_answered_we_do_not(line: Line, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    await line.send()
    heard = len(line.heard(PHONE))
    await line.text(PHONE, "HELP", OptOutType="HELP")
    await line.text(PHONE, "ADIOS", OptOutType="STOP")
    assert (await consents_of(desk, visit))[-1] == (False, "sms")
    await line.text(PHONE, "YES", OptOutType="START")
    assert (await consents_of(desk, visit))[-1] == (True, "sms")
    assert len(line.heard(PHONE)) == heard


@pytest.mark.parametrize(("word", "answered"), [("HELP", "visit texts. Call"), ("¿Ayuda?", "mensajes de citas.")])
async def test_help_is_answered_in_the_language_it_was_asked_in(line: Line, word: str, answered: str) -> None:
    await line.text(STRANGER, word)
    assert answered in line.heard(STRANGER)[-1]


async def test_what_is_not_understood_is_answered_once_a_day_and_always_in_the_inbox(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    for hours, text in enumerate(("Running late!", "is there parking?", "A", "see you")):
        clock.move_to(NOW + timedelta(hours=hours))
        await line.text(STRANGER, text)
    assert len(line.heard(STRANGER)) == 1
    assert len(await inbox(desk, needs_attention="true")) == 4
    clock.move_to(NOW + timedelta(hours=25))
    await line.text(STRANGER, "hello?")
    assert len(line.heard(STRANGER)) == 2


async def test_a_stranger_who_said_stop_hears_nothing_more(line: Line) -> None:
    await line.text(STRANGER, "PARAR")
    await line.text(STRANGER, "who is this?")
    assert line.heard(STRANGER) == []
    await line.text(STRANGER, "START")
    await line.text(STRANGER, "who is this?")
    assert len(line.heard(STRANGER)) == 1


async def test_a_picture_without_words_is_kept_for_a_person(line: Line, desk: httpx.AsyncClient) -> None:
    await line.text(STRANGER, "", NumMedia="1", MediaUrl0="https://api.twilio.com/x")
    (received,) = await inbox(desk, needs_attention="true")
    assert received["text"] == "(Something was attached, which is not kept.)"


async def test_odd_characters_are_kept_and_break_nothing(line: Line, desk: httpx.AsyncClient) -> None:
    await line.text(STRANGER, "caf\u00e9 \x00 \U0001f9ff " + "ñ" * 1500)
    (received,) = await inbox(desk)
    assert received["text"].startswith("café  \U0001f9ff ñ")


async def test_an_answer_goes_at_any_hour_to_whoever_is_awake(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await reminded(desk, line, clock)
    clock.move_to(datetime.fromisoformat("2026-12-08T00:30:00-05:00"))
    await line.text(PHONE, "C")
    assert "is confirmed" in line.heard(PHONE)[-1]


async def test_a_confirmation_is_not_acknowledged_once_the_visit_has_moved(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    await line.twilio.text_us(line.url, PHONE, "C")
    visit = (await desk.get(f"/api/v1/visits/{visit['id']}")).json()
    assert (await act(desk, visit, "reschedule", starts_at=THURSDAY)).is_success
    await line.send()
    assert not any("is confirmed" in text for text in line.heard(PHONE))


async def test_a_text_that_cannot_be_acted_on_is_kept_for_a_person(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    async with line.pool.acquire() as somebody, somebody.transaction():
        await somebody.execute("set local lock_timeout = 0")
        await somebody.execute("select 1 from visits for update")
        await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "booked"
    (received,) = await inbox(desk, needs_attention="true")
    assert received["text"] == "C"


async def test_texts_that_come_together_are_all_kept_while_somebody_is_in_their_way(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await reminded(desk, line, clock)
    async with line.pool.acquire() as somebody, somebody.transaction():
        await somebody.execute("select 1 from visits for update")
        answers = await asyncio.gather(*(line.twilio.text_us(line.url, PHONE, text) for text in ("C", "R", "hello")))
    assert [answer.status for answer in answers] == [200] * 3
    assert {one["text"] for one in await inbox(desk)} == {"C", "R", "hello"}


async def test_a_change_at_the_very_moment_is_seen_by_the_second_try(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await reminded(desk, line, clock)
    really, first = replies.candidates_of, True

    async def candidates_then_a_change(talk: Any) -> Any:
        nonlocal first
        found = await really(talk)
        if first:
            first = False
            await line.pool.execute("update visits set version = version + 1")
        return found

    monkeypatch.setattr(replies, "candidates_of", candidates_then_a_change)
    await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "confirmed"


async def test_a_text_goes_to_the_clinic_that_last_texted_the_phone(
    line: Line, desk: httpx.AsyncClient, clinic: Clinic
) -> None:
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.send()
    elsewhere = await another_clinic(line, clinic)
    line.app.state.directory.replace([elsewhere, clinic])
    await line.twilio.text_us(line.url, PHONE, "C", MessageSid="SM" + "d" * 32)
    await line.twilio.text_us(line.url, STRANGER, "C")
    kept = {
        row["sender"]: row["clinic_id"] for row in await line.rows("select sender, clinic_id from inbound_messages")
    }
    assert kept == {PHONE: clinic.id, STRANGER: elsewhere.id}


async def test_a_phone_that_writes_can_be_written_to(line: Line, desk: httpx.AsyncClient, clinic: Clinic) -> None:
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.pool.execute(
        "insert into unreachable_addresses (clinic_id, channel, address, reason) values ($1, 'sms', $2, '')",
        clinic.id, PHONE,
    )  # fmt: skip
    await line.text(PHONE, "hello")
    assert len(line.heard(PHONE)) == 2


async def two_of_which_tuesday_is_cancelled(
    desk: httpx.AsyncClient, line: Line, clock: time_machine.Traveller
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Book Tuesday and Friday, and let the clinic cancel Tuesday, which is heard."""
    tuesday, friday = [(await book(desk, "follow-up", start, patient=BY_TEXT)).json() for start in (TUESDAY, FRIDAY)]
    await line.send()
    clock.move_to(DAY_BEFORE)
    assert (await act(desk, tuesday, "cancel", reason="ill", by="clinic")).is_success
    await line.send()
    assert "must cancel your visit Tue" in line.heard(PHONE)[-1]
    clock.shift(timedelta(minutes=5))
    return tuesday, friday


async def test_r_answers_the_last_text_and_not_another_visit(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    tuesday, _ = await two_of_which_tuesday_is_cancelled(desk, line, clock)
    await line.text(PHONE, "R")
    assert "The front desk will contact you" in line.heard(PHONE)[-1]
    assert [(task["kind"], task["visit_id"]) for task in await open_tasks(desk)] == [("wants-to-move", tuesday["id"])]


async def test_r_to_the_news_of_a_booking_is_about_that_booking(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await reminded(desk, line, clock)
    clock.shift(timedelta(minutes=4))
    friday = (await book(desk, "follow-up", FRIDAY, patient=BY_TEXT)).json()
    await line.send()
    assert "you are booked Fri" in line.heard(PHONE)[-1]
    await line.text(PHONE, "R")
    assert [task["visit_id"] for task in await open_tasks(desk)] == [friday["id"]]


async def test_thanks_for_bad_news_confirm_nothing(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    _, friday = await two_of_which_tuesday_is_cancelled(desk, line, clock)
    heard = len(line.heard(PHONE))
    await line.text(PHONE, "Ok thanks")
    assert await status_of(desk, friday) == "booked"
    assert len(line.heard(PHONE)) == heard
    assert await inbox(desk, needs_attention="true") == []


async def test_thanks_for_the_link_do_not_confirm_what_shall_move(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    await line.text(PHONE, "R")
    await line.text(PHONE, "ok")
    assert await status_of(desk, visit) == "booked"


async def test_a_yes_to_the_old_time_is_told_the_new_one_and_the_next_confirms_it(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    clock.move_to(TUESDAY_AT_TEN - timedelta(hours=13))
    assert (await act(desk, visit, "reschedule", starts_at=WEDNESDAY)).is_success
    await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "booked"
    assert "moved to Wed Dec 9 10:00 AM (was Tue Dec 8 10:00 AM). Reply C" in line.heard(PHONE)[-1]
    assert [(task["kind"], task["visit_id"]) for task in await open_tasks(desk)] == [("which-visit", visit["id"])]
    clock.shift(timedelta(minutes=1))
    await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "confirmed"


async def test_a_yes_to_a_visit_that_is_off_since_is_for_the_desk(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    clock.move_to(TUESDAY_AT_TEN - timedelta(hours=13))
    assert (await act(desk, visit, "cancel", reason="ill", by="clinic")).is_success
    await line.text(PHONE, "C")
    assert "The front desk will contact you" in line.heard(PHONE)[-1]
    assert [(task["kind"], task["visit_id"]) for task in await open_tasks(desk)] == [("wants-to-move", visit["id"])]


async def test_a_yes_to_a_day_on_which_the_clinic_has_closed_is_for_the_desk(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    visit = await reminded(desk, line, clock)
    assert (await desk.put("/api/v1/closures/2026-12-08", json={"windows": [], "reason": "Snow"})).is_success
    await line.text(PHONE, "C")
    assert await status_of(desk, visit) == "booked"
    assert [(task["kind"], task["visit_id"]) for task in await open_tasks(desk)] == [("wants-to-move", visit["id"])]


async def test_r_from_a_phone_that_stopped_is_not_said_to_have_been_sent_the_link(
    line: Line, desk: httpx.AsyncClient
) -> None:
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.text(PHONE, "STOP")
    await line.text(PHONE, "R")
    assert [task["reason"] for task in await open_tasks(desk)] == ["A text asked for another time."]


async def test_stop_that_somebody_is_in_the_way_of_is_brought_again(line: Line, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    brought = {"MessageSid": "SM" + "e" * 32}
    async with line.pool.acquire() as somebody, somebody.transaction():
        await somebody.execute("select 1 from patients for no key update")
        answer = await line.twilio.text_us(line.url, PHONE, "please stop texting me", **brought)
        assert answer.status == 503
    await line.text(PHONE, "please stop texting me", **brought)
    assert (await consents_of(desk, visit))[-1] == (False, "sms")


async def test_what_may_ask_for_fewer_texts_is_not_answered_with_one(line: Line, desk: httpx.AsyncClient) -> None:
    await line.text(STRANGER, "how do I stop this thing?")
    assert line.heard(STRANGER) == []
    assert len(await inbox(desk, needs_attention="true")) == 1


async def test_a_second_text_about_canceling_is_for_a_person_too(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)
    await line.text(PHONE, "I want to cancel my visit")
    clock.shift(timedelta(minutes=30))
    await line.text(PHONE, "Sorry, do not cancel, I will come")
    assert [one["text"] for one in await inbox(desk, needs_attention="true")] == ["Sorry, do not cancel, I will come"]


async def test_who_stops_and_starts_twice_within_seconds_has_started(line: Line, desk: httpx.AsyncClient) -> None:
    visit = (await book(desk, "follow-up", TUESDAY, patient=BY_TEXT)).json()
    for word in ("STOP", "START", "STOP", "START"):
        await line.text(PHONE, word)
    assert (await consents_of(desk, visit))[-1] == (True, "sms")


async def test_what_the_desk_noted_of_a_child_does_not_silence_the_parents_phone(
    line: Line, desk: httpx.AsyncClient, clock: time_machine.Traveller
) -> None:
    declined = CHILD | {"sms_consent": {"granted": False, "wording_version": "2026-11"}}
    await reminded(desk, line, clock)
    assert (await book(desk, "follow-up", FRIDAY, patient=declined)).is_success
    await line.text(PHONE, "R")
    assert "choose a new time" in line.heard(PHONE)[-1] or "front desk" in line.heard(PHONE)[-1]
    await line.text(PHONE, "HELP")
    assert "visit texts. Call" in line.heard(PHONE)[-1]
