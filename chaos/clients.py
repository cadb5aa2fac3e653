"""Who uses the clinic: patients who hold and book, the desk, and phones that write. Each decides by its own dice."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
from twilio.request_validator import RequestValidator

from chaos.asking import Line
from chaos.journal import Ask, Journal, Known
from chaos.people import make_person
from tests.simulators.twilio_shapes import ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER

# Few days, so that everybody wants the same times; far enough ahead that no reminder is due, near enough to be booked.
FIRST_DAY, DAYS = 10, 5
VISIT_TYPES = ("eval-run", "eval", "follow-up", "gait")
THERAPISTS = ("rivera", "okafor", "lind", "marsh")
PAUSE = 0.25


class Clients:
    """Everybody, until they are told to stop. ``webs`` are addresses by name, ``key`` is the desk's."""

    def __init__(self, journal: Journal, webs: dict[str, str], *, key: str, public_url: str, seed: int) -> None:
        self.journal, self.webs, self.key, self.public_url, self.seed = journal, webs, key, public_url, seed
        self.stop = asyncio.Event()
        self._people = 0

    async def run(self, *, patients: int, desks: int) -> None:
        kinds: list[tuple[str, Callable[[str, Line, random.Random], Awaitable[None]], bool]] = [
            *((f"patient-{number}", self._patient, False) for number in range(patients)),
            *((f"desk-{number}", self._desk, True) for number in range(desks)),
            ("phones", self._phones, False),
            ("vandal", self._vandal, False),
        ]
        await asyncio.gather(*(self._live(*kind) for kind in kinds))

    async def _live(
        self, name: str, act: Callable[[str, Line, random.Random], Awaitable[None]], with_key: bool
    ) -> None:
        chance = random.Random(f"{self.seed}/{name}")
        line = Line(self.journal, self.webs, chance, key=self.key if with_key else "")
        try:
            while not self.stop.is_set():
                await act(name, line, chance)
                await asyncio.sleep(chance.uniform(0, 2 * PAUSE))
        finally:
            await line.close()

    # Patients

    async def _patient(self, name: str, line: Line, chance: random.Random) -> None:
        """Look at a day, hold one of its times, and book it, or not."""
        slot = await self._choose(name, line, chance)
        if slot is None:
            return
        wants = {"visit_type": slot["visit_type"], "starts_at": slot["starts_at"], "therapist": slot["therapist"]}
        hold = self.journal.ask(name, "hold", key=_key(chance), wants=wants)
        await line.persist(hold, "POST", "/api/v1/holds", json=wants)
        if hold.outcome != "told":
            return
        drawn, token = chance.random(), {"Hold-Token": hold.told["token"]}
        if drawn < 0.1:  # leaves
            return
        if drawn < 0.2:
            ask = self.journal.ask(name, "release", visit=hold.told["id"])
            await line.persist(ask, "DELETE", f"/api/v1/holds/{hold.told['id']}", headers=token, tries=1)
            return
        if drawn < 0.25:
            ask = self.journal.ask(name, "extend", visit=hold.told["id"])
            await line.persist(ask, "POST", f"/api/v1/holds/{hold.told['id']}/extend", headers=token, tries=1)
        await asyncio.sleep(chance.uniform(0, 2 * PAUSE))
        person = self._person(chance)
        body = {"hold_id": hold.told["id"], "hold_token": hold.told["token"], "patient": person}
        ask = self.journal.ask(name, "book", marker=person["family_name"], key=_key(chance), wants={**wants, **body})
        await line.persist(ask, "POST", "/api/v1/visits", json=body)
        if ask.outcome == "told" and drawn > 0.85:  # a second tap on the button
            await line.persist(ask, "POST", "/api/v1/visits", json=body)
        self._learn(ask, person)

    async def _choose(self, name: str, line: Line, chance: random.Random) -> dict[str, Any] | None:
        visit_type, day = chance.choice(VISIT_TYPES), _day(chance)
        ask = self.journal.ask(name, "look")
        answer = await line.once(
            ask,
            "GET",
            "/api/v1/slots",
            params={"visit_type": visit_type, "from": str(day), "to": f"{day}T23:59:00-05:00"},
        )
        ask.outcome = "told" if answer.status == 200 else "unknown"
        slots: list[dict[str, Any]] = answer.body["items"] if answer.status == 200 else []
        return {**chance.choice(slots[:12]), "visit_type": visit_type} if slots else None

    def _person(self, chance: random.Random) -> dict[str, Any]:
        self._people += 1
        person = make_person(self._people, chance)
        self.journal.markers.append(person["family_name"])
        return person

    def _learn(self, ask: Ask, person: dict[str, Any]) -> None:
        if ask.outcome == "told":
            told = ask.told
            self.journal.visits[told["id"]] = Known(
                id=told["id"], version=told["version"], starts_at=told["starts_at"], visit_type=told["visit_type"],
                therapist=told["therapist"], phone=person["phone"], texts="sms_consent" in person,
            )  # fmt: skip

    # The desk

    async def _desk(self, name: str, line: Line, chance: random.Random) -> None:
        known = [visit for visit in self.journal.visits.values() if visit.live and not visit.taken]
        actions: list[tuple[float, Callable[..., Awaitable[None]]]] = [
            (0.3, self._book), (0.4, self._walk_in), (0.6, self._time_off),
        ]  # fmt: skip
        drawn = chance.random()
        for up_to, action in actions:
            if drawn < up_to or not known:
                return await action(name, line, chance)
        return await self._change(name, line, chance, chance.choice(known))

    async def _book(self, name: str, line: Line, chance: random.Random) -> None:
        slot = await self._choose(name, line, chance)
        if slot is None:
            return
        wants = {"visit_type": slot["visit_type"], "starts_at": slot["starts_at"], "therapist": slot["therapist"]}
        # Half the time several people are told of the same time at the same moment.
        racers = 5 if chance.random() < 0.5 else 1
        await asyncio.gather(
            *(self._ask_to_book(name, line, chance, self._person(chance), wants) for _ in range(racers))
        )

    async def _ask_to_book(
        self, name: str, line: Line, chance: random.Random, person: dict[str, Any], wants: dict[str, Any]
    ) -> Ask:
        body = {**wants, "patient": person}
        ask = self.journal.ask(name, "book", marker=person["family_name"], key=_key(chance), wants=body)
        await line.persist(ask, "POST", "/api/v1/visits", json=body)
        self._learn(ask, person)
        return ask

    async def _walk_in(self, name: str, line: Line, chance: random.Random) -> None:
        """Somebody stands at the desk: squeezed in, checked in, perhaps a slip of the hand undone, and done."""
        person = self._person(chance)
        start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=chance.randint(5, 50))
        wants = {"visit_type": "follow-up", "starts_at": start.isoformat(), "therapist": chance.choice(THERAPISTS),
                 "overbook": {"reason": "walked in"}}  # fmt: skip
        ask = await self._ask_to_book(name, line, chance, person, wants)
        visit = self.journal.visits.get(ask.told.get("id", "")) if ask.outcome == "told" else None
        for action in ("arrive", chance.choice(["complete", "undo"])):
            if visit is not None and visit.live:
                await self._act(name, line, chance, visit, action)

    async def _change(self, name: str, line: Line, chance: random.Random, visit: Known) -> None:
        action = chance.choices(["reschedule", "cancel", "confirm"], weights=[5, 3, 2])[0]
        body: dict[str, Any] | None = {"reason": "asked by phone"} if action == "cancel" else None
        if action == "reschedule":
            slot = await self._choose(name, line, chance)
            if slot is None or slot["visit_type"] != visit.visit_type:
                return
            body = {"starts_at": slot["starts_at"], "therapist": slot["therapist"]}
        await self._act(name, line, chance, visit, action, body)

    async def _act(
        self,
        name: str,
        line: Line,
        chance: random.Random,
        visit: Known,
        action: str,
        body: dict[str, Any] | None = None,
    ) -> None:
        """Do something to a visit as it was last seen; who gives up in doubt looks at it again."""
        # Now and then two at the desk take up the same visit.
        visit.taken = chance.random() > 0.2
        ask = self.journal.ask(name, action, visit=visit.id, version=visit.version, key=_key(chance), wants=body or {})
        await line.persist(
            ask, "POST", f"/api/v1/visits/{visit.id}/{action}", json=body, headers={"If-Match": f'"{visit.version}"'}
        )
        told = ask.told if ask.outcome == "told" else await self._see(name, line, visit)
        if told:
            visit.version, visit.starts_at = max(visit.version, told["version"]), told["starts_at"]
            visit.live = told["status"] in ("booked", "confirmed", "arrived")
        visit.taken = False

    async def _see(self, name: str, line: Line, visit: Known) -> dict[str, Any]:
        ask = self.journal.ask(name, "see", visit=visit.id)
        answer = await line.once(ask, "GET", f"/api/v1/visits/{visit.id}")
        return answer.body if answer.status == 200 else {}

    async def _time_off(self, name: str, line: Line, chance: random.Random) -> None:
        """A therapist is away for an hour, in which somebody books at that very moment; or it was a mistake."""
        slot = await self._choose(name, line, chance)
        if slot is None:
            return
        therapist, starts = slot["therapist"], datetime.fromisoformat(slot["starts_at"])
        wants = {"from": starts.isoformat(), "to": (starts + timedelta(hours=1)).isoformat()}
        booking = {"visit_type": slot["visit_type"], "starts_at": slot["starts_at"], "therapist": therapist}
        ask = self.journal.ask(name, "time-off", key=_key(chance), wants={**wants, "therapist": therapist})
        await asyncio.gather(
            line.persist(ask, "POST", f"/api/v1/therapists/{therapist}/time-off", json=wants),
            self._ask_to_book(name, line, chance, self._person(chance), booking),
        )
        if ask.outcome == "told" and chance.random() < 0.3:
            taken_back = self.journal.ask(name, "time-on", visit=ask.told["id"])
            address = f"/api/v1/therapists/{therapist}/time-off/{ask.told['id']}"
            await line.persist(taken_back, "DELETE", address, tries=1)

    # Phones

    async def _phones(self, name: str, line: Line, chance: random.Random) -> None:
        """Somebody texts C, or something else; Twilio brings it, twice and late if it likes."""
        known = [visit for visit in self.journal.visits.values() if visit.live and visit.texts]
        if not known:
            return
        visit = chance.choice(known)
        text = chance.choices(["C", "HELP", "is there parking?"], weights=[6, 1, 1])[0]
        sid = f"SM{chance.getrandbits(128):032x}"
        ask = self.journal.ask(name, "text", visit=visit.id, wants={"text": text, "phone": visit.phone, "sid": sid})
        fields = {
            "AccountSid": ACCOUNT_SID, "MessageSid": sid, "From": visit.phone,
            "To": OUR_NUMBER, "Body": text, "NumMedia": "0",
        }  # fmt: skip
        url = f"{self.public_url}/hooks/twilio/inbound"
        signature = RequestValidator(AUTH_TOKEN).compute_signature(url, fields)  # pyright: ignore[reportUnknownMemberType]
        for _ in range(chance.randint(1, 3)):
            answer = await line.once(
                ask, "POST", "/hooks/twilio/inbound", data=fields, headers={"X-Twilio-Signature": signature}
            )
            if answer.status == 200:
                ask.outcome = "told"
            await asyncio.sleep(chance.uniform(0, PAUSE))

    # Vandals

    async def _vandal(self, name: str, line: Line, chance: random.Random) -> None:
        """Send what nobody should; the answer is a refusal that says nothing of what was sent."""
        marker = f"Zq{chance.getrandbits(40):x}"
        self.journal.markers.append(marker)
        person = {"given_name": marker, "family_name": marker, "phone": f"{marker}-none", "email": f"{marker}@@x"}
        sent: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/api/v1/holds", {"data": b'{"visit_type": "' + marker.encode() + b'", ', "headers": _JSON}),
            ("POST", "/api/v1/holds", {"data": b"x" * 200_000, "headers": _JSON}),
            ("POST", "/api/v1/holds", {"data": b"[" * 60_000, "headers": _JSON}),
            (
                "POST",
                "/api/v1/visits",
                {"json": {"hold_id": str(UUID(int=7)), "hold_token": marker, "patient": person}},
            ),
            ("GET", f"/api/v1/slots?visit_type={marker}", {}),
            ("GET", "/api/v1/visits", {"headers": {"Authorization": f"Bearer tbs_{marker}"}}),
            ("BREW", "/api/v1/visits", {}),
            ("GET", f"/api/v1/{marker}", {}),
        ]
        method, path, request = chance.choice(sent)
        ask = self.journal.ask(name, "vandalism", marker=marker)
        try:
            answer = await line.once(ask, method, path, **request)
        except aiohttp.ClientError:
            return
        ask.outcome = "refused"
        if answer.status is not None and answer.status < 400:
            self.journal.complain(f"{method} {path.partition('?')[0]} was taken, which it must not be")


_JSON = {"Content-Type": "application/json"}


def _key(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _day(chance: random.Random) -> date:
    """Return one of the few days that everybody wants, never a Sunday."""
    day = datetime.now(UTC).date() + timedelta(days=FIRST_DAY + chance.randrange(DAYS))
    return day + timedelta(days=1) if day.isoweekday() == 7 else day
