"""Who an actor is, as histories say it to a person."""

from collections.abc import Iterable
from uuid import UUID

from scheduler.domain.clinics import Clinic
from scheduler.domain.staff import ACTOR_PREFIX
from scheduler.store.connections import Connection
from scheduler.store.staff import fetch_initials

_OTHERS = {
    "public": "the patient, online",
    "patient": "the patient",
    "system": "the service",
    "command line": "the operator",
}
_KEY_PREFIX = "key:"


async def name_actors(connection: Connection, clinic: Clinic, actors: Iterable[str]) -> dict[str, str]:
    """Return what to write after "by" for each actor of audit rows and visits, as in "by A.M." or "by the patient".

    Keys of the API are named as they were when they were made; whoever is not known is named as the row has it.
    """
    wanted = set(actors)
    ids = {actor: UUID(actor.removeprefix(ACTOR_PREFIX)) for actor in wanted if actor.startswith(ACTOR_PREFIX)}
    initials = await fetch_initials(connection, clinic.id, list(ids.values())) if ids else {}
    return {actor: initials.get(ids[actor], actor) if actor in ids else _other(actor) for actor in wanted}


def _other(actor: str) -> str:
    return _OTHERS.get(actor) or actor.removeprefix(_KEY_PREFIX)
