"""What somebody without a key can find out about patients by asking: whatever is true, the answer is the same."""

import time
from typing import Any

import httpx
import pytest
import time_machine

from scheduler.store.connections import Pool
from tests.integration.requests import ASH, JO, act, book, book_held, hold

NAME_AND_PHONE = {name: ASH[name] for name in ("given_name", "family_name", "phone")}


@pytest.fixture(autouse=True)
def november() -> Any:
    with time_machine.travel("2026-11-23T10:00:00-05:00", tick=True):
        yield


def told(response: httpx.Response) -> dict[str, Any]:
    """Return everything that an answer says but what differs from one booking to the next."""
    body = response.json()
    names = ("id", "version", "created_by", "manage_url", "starts_at", "ends_at", "room", "instance")
    body = {name: value for name, value in body.items() if name not in names}
    body["patient"] = {name: value for name, value in body["patient"].items() if name != "id"}
    headers = {name for name in response.headers if name not in ("date", "content-length")}
    return {"status": response.status_code, "body": body, "headers": headers}


async def test_booking_with_the_name_and_phone_of_a_patient_tells_nothing_of_them(
    public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    """A stranger knows a name and a phone. The clinic knows an email, a consent and a language as well."""
    stranger = await book_held(public, await hold(public, "follow-up", "2026-12-08T10:00:00-05:00"), NAME_AND_PHONE)
    on_file = ASH | {"given_name": "Álex", "family_name": "SAMPLE", "language": "es", "phone": "201 555 0177"}
    await book(desk, "eval-run", "2026-12-09T10:00:00-05:00", patient=on_file)
    asked = NAME_AND_PHONE | {"given_name": "alex", "family_name": "Sample", "phone": "201 555 0177"}
    known = await book_held(public, await hold(public, "follow-up", "2026-12-10T10:00:00-05:00"), asked)
    expected = told(stranger)
    expected["body"]["patient"] = {"display_name": "alex S."}
    assert told(known) == expected
    assert (known.json()["language"], known.json()["reminders"]) == ("en", [])


async def test_the_desk_is_told_what_strangers_are_not(public: httpx.AsyncClient, desk: httpx.AsyncClient) -> None:
    visit = (await book_held(public, await hold(public, "follow-up", "2026-12-08T10:00:00-05:00"))).json()
    seen = (await desk.get(f"/api/v1/visits/{visit['id']}")).json()
    assert [one["template"] for one in seen["reminders"]] == ["reminder_72h", "reminder_24h"]


async def test_no_id_tells_since_when_somebody_is_a_patient(desk: httpx.AsyncClient, pool: Pool) -> None:
    await book(desk, "eval-run", "2026-12-09T10:00:00-05:00")
    await book(desk, "follow-up", "2026-12-10T10:00:00-05:00", patient=JO)
    ids = [row["id"] for row in await pool.fetch("select id from patients")]
    assert [one.version for one in ids] == [4, 4]


async def test_a_time_at_which_the_patient_is_elsewhere_is_refused_as_any_other(
    public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    await book(desk, "follow-up", "2026-12-08T10:00:00-05:00", therapist="rivera")
    held = await hold(public, "follow-up", "2026-12-08T10:00:00-05:00", therapist="okafor")
    refused = await book_held(public, held, NAME_AND_PHONE)
    assert (refused.status_code, refused.json()["code"], refused.json()["conflict"]) == (409, "slot-taken", "therapist")


@pytest.mark.parametrize("harm", ["unknown", "revoked", "other token"])
async def test_a_private_link_that_does_not_open_says_nothing_about_why(
    harm: str, public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    visit = (await book(desk, "follow-up", "2026-12-08T10:00:00-05:00")).json()
    path = "/m/" + visit["manage_url"].rpartition("/")[2]
    browser = {"Accept": "text/html"}
    assert (await public.get(path, headers=browser)).status_code == 200
    nowhere = await public.get("/m/" + "A" * (len(path) - 3), headers=browser)
    if harm == "revoked":
        await pool.execute("update visit_links set revoked_at = now()")
    elif harm == "other token":
        path = path[:-2] + ("AA" if path[-2:] != "AA" else "BB")
    else:
        await pool.execute("delete from visit_links")
    refused = await public.get(path, headers=browser)
    assert refused.status_code == nowhere.status_code == 404
    assert refused.text == nowhere.text
    assert {*refused.headers} == {*nowhere.headers}


async def test_a_hold_that_is_not_yours_looks_like_one_that_never_was(public: httpx.AsyncClient) -> None:
    held = await hold(public, "follow-up", "2026-12-08T10:00:00-05:00")
    never = "01a206f9-fd71-7771-a54c-6c959606910c"
    wrong = {"Hold-Token": "x" * 43}
    answers = [await public.post(f"/api/v1/holds/{one}/extend", headers=wrong) for one in (held["id"], never)]
    bodies = [{name: value for name, value in one.json().items() if name != "instance"} for one in answers]
    assert [one.status_code for one in answers] == [404, 404]
    assert bodies[0] == bodies[1]


async def test_a_visit_without_its_version_or_a_key_is_nobodys_business(
    public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    visit = (await book(desk, "follow-up", "2026-12-08T10:00:00-05:00")).json()
    never = visit | {"id": "01a206f9-fd71-7771-a54c-6c959606910c"}
    for one in (visit, never):
        assert (await public.get(f"/api/v1/visits/{one['id']}")).status_code == 401
        assert (await act(public, one, "cancel", reason="x")).status_code == 401


@pytest.mark.parametrize("kind", ["phone", "link"])
async def test_what_is_known_takes_no_longer_to_refuse_than_what_is_not(
    kind: str, public: httpx.AsyncClient, desk: httpx.AsyncClient, pool: Pool
) -> None:
    """The least of thirty of each, in turn, for whatever else the machine does only adds to it.

    What a stranger could measure over a network is far coarser.
    """
    visit = (await book(desk, "follow-up", "2026-12-08T10:00:00-05:00")).json()
    await pool.execute("update visit_links set revoked_at = now()")
    token = visit["manage_url"].rpartition("/")[2]
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(30):
        for known in (True, False):
            if kind == "link":
                request = public.build_request("GET", f"/m/{token if known else 'B' * len(token)}")
            else:
                patient = NAME_AND_PHONE | {"phone": "201 555 0142" if known else f"201 555 01{number:02}"}
                body = {"hold_id": "01a206f9-fd71-7771-a54c-6c959606910c", "hold_token": "x", "patient": patient}
                request = public.build_request("POST", "/api/v1/visits", json=body)
            began = time.perf_counter()
            await public.send(request)
            took[known].append(time.perf_counter() - began)
    known, unknown = min(took[True]), min(took[False])
    assert 0.5 < known / unknown < 2, (known, unknown)
