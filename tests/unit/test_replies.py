"""What a text means, in either language, and which visit it speaks of."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.channels.texts import load_texts
from scheduler.domain.replies import (
    COMMANDS,
    Candidate,
    Meaning,
    is_muted,
    language_of,
    may_mean_texts,
    may_mean_visit,
    meaning_of,
    meant,
    soon,
)
from scheduler.domain.visits import Status, Visit
from tests.integration.conftest import ROOT

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)

WORDS = {
    "stop": """
        STOP|stop|Stop.|STOP!!|stop all|StopAll|UNSUBSCRIBE|end|Quit|REVOKE|optout|opt out|Opt-out|cancel|CANCEL
        Cancelar|cancelar.|alto|PARAR|baja|no mas|No más|stop please|Please stop|Stop now, thanks|Stop it!
        please stop texting me|Do not text this number again|don't text me|dont text me|DON’T TEXT ME|no more texts
        take me off your list|No me escriban más|por favor no me manden mensajes|unsubscribe me|cancel please""",
    "start": "START|start|Unstop|start please",
    "help": "HELP|help|info|AYUDA|¿Ayuda?|help please",
    "confirm": """
        C|c|c.|"C"|(c)|C!|confirm|Confirmed|CONFIRMO|confirmar|y|Y|yes|Yes!|YES please|Sí|si|SI, gracias|sí confirmo
        ok|OK thanks|okay|1|👍|👍🏽|✅|C 👍|yes yes|I confirm|Confirm my appointment|hola, confirmo la cita|Ç""",
    "reschedule": """
        R|r|r.|Reschedule|RESCHEDULE please|reprogramar|Cambiar|cambiar la cita|2|reschedule my appointment|otra hora
        another time please""",
    "accept": "A|a|accept|ACEPTO",
    "cancel": """
        cancel my appointment|I need to cancel tomorrow|yes cancel|quiero cancelar mi cita|Can you cancel it?
        puede cancelar la del martes""",
    "unclear": """
        hello|no|I will stop by tomorrow|can't come|c r|C or R?|what time is it?|wrong number|I am running late|❤
        the end of my plan|stop light is out, late|can you help me find it|si no llueve voy|3|not ok|cc
        Can I start earlier?|is 1 pm ok?|R u open?""",
}  # fmt: skip


def pairs() -> list[tuple[str, str]]:
    return [
        (text.strip(), meaning) for meaning, lines in WORDS.items() for line in lines.split("\n") for text in
        line.split("|") if text.strip()
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), pairs())
def test_words_mean_what_people_mean_by_them(text: str, meaning: str) -> None:
    assert meaning_of(text) == meaning
    assert meaning_of(f"  {text.upper()}\n") == meaning


# Every word that alone is a command, as it is promised to patients, to the carriers and by the law; the accents are as
# people type them.
ALONE: dict[Meaning, str] = {
    "stop": """
        stop|stop all|stopall|unsubscribe|end|quit|revoke|optout|opt out|cancel
        stop it|stop this|stop texts|stop messages|no texts|no messages|stop stop|stopp|stop text|stop sms|end texts
        end messages|cancel texts|cancel messages|remove|leave me alone|unsuscribe|desuscribir
        alto|parar|pare|baja|dar de baja|darme de baja|basta|ya basta|no más|cancelar""",
    "start": "start|unstop",
    "help": "help|info|ayuda",
    "confirm": "c|confirm|confirmed|confirmo|confirmar|confirmado|confirmada|y|yes|yep|sí|ok|okay|1|👍|✅|👌",
    "reschedule": """
        r|reschedule|reprogramar|cambiar|2|change|cambio|other time|another time|new time|move
        otro horario|otra hora|cambiarla|cámbiela|moverla|mover""",
    "accept": "a|accept|acepto|aceptar",
}  # fmt: skip

# These end the texts in the middle of any sentence; these others of a sentence may mean a visit.
ENDS_TEXTS = """
    stop texting|stop sending|stop messaging|stop contacting|stop these texts|stop the texts|do not text
    don't text|do not message|don't message|do not contact|don’t contact|no more texts|no more messages
    unsubscribe me|opt me out|take me off|remove me|remove my number|no me escriban|no me escriba|no me manden
    no me envíen|no más mensajes|no quiero mensajes|dejen de escribir|dejen de enviar|dejen de mandar
    quiten mi número|stop all texts|stop sending me texts|quit texting me|no more text messages
    don't send me texts|I revoke my consent|cancel all messages|no me mande mensajes|no me manden más mensajes
    no quiero más mensajes|no quiero recibir mensajes|no más textos|no me escribas|deje de escribirme
    dejen de mandarme mensajes"""
FOR_A_PERSON = """
    don't stop texting me|do not stop the texts|I will stop by the clinic for your messages|stop by the clinic
    can I stop taking my brace off|no me mandaron el mensaje|I quit my job|did you end the plan|when do I stop these"""
MAY_MEAN_A_VISIT = "cancel|cancelar|canceling|cancelling|cancelen|cancele|cancelo|cancela"

POLITENESS = """
    please|pls|plz|thanks|thank|you|thx|ty|now|hi|hello|por|favor|gracias|hola|ahora|muchas|porfavor"""
OF_A_VISIT = "i|my|the|it|a|to|this|visit|appointment|appt|will|be|there|mi|la|cita|visita|el|está"

SPANISH = """
    sí|confirmo|confirmar|confirmado|confirmada|reprogramar|cambiar|cambio|acepto|aceptar|ayuda|hola|gracias|favor
    porfavor|cita|alto|parar|pare|baja|más|cancelar|quiero|hora|horario|otra|otro"""


def each(lines: str) -> list[str]:
    return [text.strip() for line in lines.split("\n") for text in line.split("|") if text.strip()]


@pytest.mark.parametrize(("meaning", "word"), [(meaning, word) for meaning in ALONE for word in each(ALONE[meaning])])
def test_every_command_is_one_alone_and_with_politeness_around_it(meaning: Meaning, word: str) -> None:
    for polite in ("{}", "{}!", "Hola, {} por favor", "please {} now, thank you"):
        assert meaning_of(polite.format(word)) == meaning
    assert meaning_of(f"xyzzy {word}") != meaning


@pytest.mark.parametrize("phrase", each(ENDS_TEXTS))
def test_whoever_says_in_a_sentence_that_texts_shall_end_gets_no_more(phrase: str) -> None:
    assert meaning_of(f"Buenas tardes, {phrase} después del martes") == "stop"
    assert meaning_of(phrase.upper()) == "stop"


@pytest.mark.parametrize("text", each(FOR_A_PERSON))
def test_what_only_sounds_like_the_end_of_the_texts_is_for_a_person(text: str) -> None:
    assert meaning_of(text) == "unclear"


def test_what_may_ask_for_fewer_texts_is_known_by_its_verb() -> None:
    assert may_mean_texts("how do I STOP these")
    assert may_mean_texts("¡Paren ya!")
    assert not may_mean_texts("is there parking?")


def test_what_ends_the_texts_is_whole_words() -> None:
    assert meaning_of("nonstop textingx") == meaning_of("xremove me") == meaning_of("remove mel") == "unclear"


@pytest.mark.parametrize("word", each(MAY_MEAN_A_VISIT))
def test_in_a_sentence_a_word_of_canceling_is_about_a_visit(word: str) -> None:
    assert meaning_of(f"mañana {word} tuesday") == "cancel"
    assert may_mean_visit(f"mañana {word.upper()} tuesday")


@pytest.mark.parametrize("word", each(POLITENESS))
def test_politeness_changes_no_meaning_and_has_none_of_its_own(word: str) -> None:
    assert meaning_of(word) == "unclear"
    assert [meaning_of(f"{word} {command}") for command in ("c", "r", "a", "stop", "help", "start")] == [
        "confirm", "reschedule", "accept", "stop", "help", "start",
    ]  # fmt: skip


@pytest.mark.parametrize("word", each(OF_A_VISIT))
def test_a_yes_and_the_wish_for_another_time_may_name_the_visit(word: str) -> None:
    assert meaning_of(f"confirm {word}") == meaning_of(f"{word} ok") == "confirm"
    assert meaning_of(f"reschedule {word}") == "reschedule"
    # What somebody accepts, or wants to know, is another matter: a person reads it.
    assert meaning_of(f"accept {word}") == meaning_of(f"help {word}") == "unclear"


@pytest.mark.parametrize("word", each(SPANISH))
def test_every_word_that_only_spanish_has_is_answered_in_spanish(word: str) -> None:
    assert language_of(f"{word}, xyzzy") == "es"


def test_the_same_command_again_is_a_slip_and_what_a_person_reads_is_never_dropped() -> None:
    assert frozenset(get_args(Meaning)) - {"stop", "cancel", "unclear"} == COMMANDS


@pytest.mark.parametrize(
    "verb", ["Liked", "LOVED", " disliked", "Emphasized", "Laughed at", "Questioned", "Reacted 👍 to", "¡Loved"]
)
@pytest.mark.parametrize("quote", ['"', "“", "«"])
def test_a_reaction_is_no_command_whatever_it_quotes(verb: str, quote: str) -> None:
    for quoted in ("stop texting me", "Stop", "cancel it"):
        assert meaning_of(f"{verb} {quote}{quoted}") == "unclear"
    assert meaning_of("I liked it, but stop texting") == "stop"


@pytest.mark.parametrize("text", ["", " ", "?", "...", "\n", "-"])
def test_a_text_without_words_is_for_a_person(text: str) -> None:
    assert meaning_of(text) == "unclear"


def test_a_reaction_that_quotes_our_own_words_is_no_command() -> None:
    texts = load_texts(ROOT / "config" / "messages")
    for channels in texts.languages.values():
        for template in channels["sms"].values():
            for verb in ("Liked", "Disliked", "Laughed at", "Reacted 👍 to"):
                assert meaning_of(f"{verb} “{template.text}”") == "unclear"


def test_our_own_words_sent_back_neither_stop_nor_confirm_anything() -> None:
    texts = load_texts(ROOT / "config" / "messages")
    for channels in texts.languages.values():
        for name, template in channels["sms"].items():
            assert meaning_of(template.text) in ("unclear", "cancel"), name


@pytest.mark.parametrize("text", ["STOP", "whatever Twilio took for it", "C", ""])
def test_what_twilio_took_for_stop_is_stop_whatever_the_words(text: str) -> None:
    assert meaning_of(text, opt_out_type="STOP") == "stop"


def test_yes_starts_texts_again_only_for_whoever_had_stopped_them() -> None:
    assert meaning_of("YES", opt_out_type="START", opted_out=True) == "start"
    assert meaning_of("YES", opt_out_type="START", opted_out=False) == "confirm"
    assert meaning_of("YES", opted_out=True) == "confirm"
    assert meaning_of("again", opt_out_type="START") == "start"


def test_what_twilio_took_for_help_is_help() -> None:
    assert meaning_of("SOS", opt_out_type="HELP") == "help"


def test_only_words_of_canceling_may_mean_the_visit() -> None:
    assert all(may_mean_visit(text) for text in ("CANCEL", "cancelar", "Cancel, please"))
    assert not any(may_mean_visit(text) for text in ("STOP", "baja", "no more texts"))


@pytest.mark.parametrize(
    ("consents", "last_said", "muted"),
    [
        ([], None, False), ([], "stop", True), ([], "start", False), ([None], None, False), ([None], "stop", True),
        ([False], None, True), ([False, False], "start", True), ([True, False], None, False),
        ([None, False], None, False),
        ([None, False], "stop", True), ([True], "stop", False), ([True, False], "stop", False),
    ],
)  # fmt: skip
def test_a_phone_is_muted_by_its_own_stop_or_by_everybody_with_it(
    consents: list[bool | None], last_said: str | None, muted: bool
) -> None:
    assert is_muted(consents, last_said) is muted


def test_spanish_is_known_by_its_words_and_english_is_not_presumed() -> None:
    assert language_of("¿AYUDA?") == language_of("Sí") == "es"
    assert language_of("C") is language_of("help") is None


@given(st.text(max_size=200), st.sampled_from(["", "STOP", "START", "HELP", "NEW"]), st.booleans())
def test_any_text_has_a_meaning(text: str, opt_out_type: str, opted_out: bool) -> None:
    assert meaning_of(text, opt_out_type=opt_out_type, opted_out=opted_out) in WORDS
    assert language_of(text) in ("es", None)


def candidate(hours: float, status: Status = "booked", *, prompted: bool = False, **changes: Any) -> Candidate:
    starts_at = NOW + timedelta(hours=hours)
    visit = Visit(
        id=uuid4(), status=status, version=1, visit_type="follow-up", therapist_id=uuid4(), room_id=None,
        equipment_ids=(), patient_id=uuid4(), starts_at=starts_at, ends_at=starts_at + timedelta(hours=1),
        created_by="public", created_at=NOW, booked_at=NOW, cancel_reason=None, overbook_reason=None,
        previous_status=None, status_changed_at=NOW,
    )  # fmt: skip
    return Candidate(visit=msgspec.structs.replace(visit, **changes), prompted=prompted)


def test_the_only_visit_is_meant() -> None:
    only = candidate(100)
    assert meant([only]) == only.visit
    assert meant([]) is None


def test_of_several_the_one_that_was_asked_about_is_meant() -> None:
    asked = candidate(30, prompted=True)
    assert meant([candidate(20), asked, candidate(80)]) == asked.visit


def test_what_is_confirmed_already_is_not_what_a_new_yes_means() -> None:
    waiting = candidate(60, prompted=True)
    assert meant([candidate(20, "confirmed", prompted=True), waiting, candidate(90)]) == waiting.visit


def test_two_that_were_asked_about_are_a_riddle() -> None:
    assert meant([candidate(20, prompted=True), candidate(21, prompted=True)]) is None


def test_several_of_which_none_was_asked_about_are_a_riddle() -> None:
    assert meant([candidate(20), candidate(21)]) is None
    assert meant([candidate(20, "confirmed"), candidate(21)]) is None


def test_a_second_yes_means_what_the_first_one_confirmed() -> None:
    confirmed = candidate(20, "confirmed", prompted=True)
    assert meant([confirmed, candidate(90)]) == confirmed.visit
    both = [candidate(20, "confirmed"), candidate(21, "confirmed")]
    assert meant(both) == both[0].visit


def test_cancel_means_a_visit_that_is_at_most_three_days_away() -> None:
    near, far = candidate(72), candidate(72.1)
    assert soon([near, far], NOW) == near.visit
    assert soon([far], NOW) is None
