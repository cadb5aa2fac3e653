"""Finding a patient as the front desk types it, page by page, by an index."""

from typing import Any, cast

import httpx
import pytest

from scheduler.domain.clinics import Clinic
from scheduler.domain.patients import NameSearch, PhoneSearch, name_key, read_search
from scheduler.ids import new_id
from scheduler.store.connections import Connection, Pool
from scheduler.store.patients import search_names, search_phones


async def put_on_file(pool: Pool, clinic: Clinic, *people: tuple[str, str, str]) -> None:
    """Keep people as (given name, family name, last four digits of the phone, or all of them)."""
    await pool.executemany(
        """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
        values ($1, $2, $3, $4, $5, $6, 'en')""",
        [
            (clinic.id, new_id(), given, family, name_key(family, given), f"+1{'201555'[: 10 - len(digits)]}{digits}")
            for given, family, digits in people
        ],
    )


async def look_for(desk: httpx.AsyncClient, q: str, **more: Any) -> list[str]:
    response = await desk.get("/api/v1/patients", params={"q": q, **more})
    assert response.status_code == 200, response.text
    return [f"{one['given_name']} {one['family_name']}" for one in response.json()["items"]]


PEOPLE = (
    ("Ash", "Sample", "0142"),
    ("Samuel", "Ash", "0143"),
    ("José María", "García López", "0144"),
    ("Jo", "Placeholder", "0145"),
    ("Per%cent", "Under_score", "0146"),
    ("Percent", "Underscore", "0147"),
    ("文", "李小龍", "0148"),
)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("sam", ["Ash Sample", "Samuel Ash"]),
        ("ASH", ["Ash Sample", "Samuel Ash"]),
        ("sam as", ["Ash Sample", "Samuel Ash"]),
        ("as sam", ["Ash Sample", "Samuel Ash"]),
        ("Sample, Ash", ["Ash Sample"]),
        ("ash samp", ["Ash Sample"]),
        ("ample", []),
        ("garcia", ["José María García López"]),
        ("JOSÉ", ["José María García López"]),
        ("García Ló", ["José María García López"]),
        ("jose m garcia l", ["José María García López"]),
        ("garcia jose", ["José María García López"]),
        ("maria", []),
        ("per%", ["Per%cent Under_score"]),
        ("%%", []),
        ("under_", ["Per%cent Under_score"]),
        ("__", []),
        (r"\\", []),
        ("李小", ["文 李小龍"]),
        ("0142", ["Ash Sample"]),
        ("55-0145", ["Jo Placeholder"]),
        ("(201) 555-0143", ["Samuel Ash"]),
        ("+1 201 555 0144", ["José María García López"]),
        ("2015", []),
        ("9999", []),
    ],
)
async def test_people_are_found_by_how_a_name_begins_or_a_phone_ends(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, q: str, found: list[str]
) -> None:
    await put_on_file(pool, clinic, *PEOPLE)
    assert sorted(await look_for(desk, q)) == found


@pytest.mark.parametrize("q", ["", "s", "12", "+1 2", "a\x00b", "x" * 300, "a b c d e f g", "1" * 16])
async def test_a_search_for_too_little_or_too_much_names_the_parameter(desk: httpx.AsyncClient, q: str) -> None:
    response = await desk.get("/api/v1/patients", params={"q": q, "cursor": "nonsense"})
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == ["?q", "?cursor"]


async def test_a_search_needs_words_and_a_limit_within_reason(desk: httpx.AsyncClient) -> None:
    for params, pointer in (
        ({}, "?q"),
        ({"q": "sam", "limit": "0"}, "?limit"),
        ({"q": "sam", "limit": "201"}, "?limit"),
    ):
        response = await desk.get("/api/v1/patients", params=params)
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_cursor_that_we_did_not_give_is_refused(desk: httpx.AsyncClient) -> None:
    response = await desk.get("/api/v1/patients", params={"q": "sam", "cursor": str(new_id())})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "?cursor")


@pytest.mark.parametrize("q", ["sam", "0142"])
async def test_pages_follow_one_another_though_people_are_added_between(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, q: str
) -> None:
    """Everybody who was there at the start is shown once, in order of family and given name."""
    await put_on_file(pool, clinic, *((f"{letter}sh", "Sample", "0142") for letter in "EBDAC"))
    # Four people of one name: a page ends among them.
    await put_on_file(pool, clinic, *(("Csh", "Sample", f"{area}5550142") for area in ("202", "203", "212")))
    seen: list[tuple[str, str]] = []
    params: dict[str, Any] = {"q": q, "limit": 3}
    while params:
        page = (await desk.get("/api/v1/patients", params=params)).json()
        seen += [(one["given_name"], one["phone"]) for one in page["items"]]
        await put_on_file(pool, clinic, (f"A{'a' * len(seen)}", "Sample", "0142"))
        params = {"q": q, "limit": 3, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert [given for given, _ in seen] == ["Ash", "Bsh", "Csh", "Csh", "Csh", "Csh", "Dsh", "Esh"]
    assert len(set(seen)) == len(seen)


async def test_no_name_is_put_into_a_cursor(desk: httpx.AsyncClient, pool: Pool, clinic: Clinic) -> None:
    await put_on_file(pool, clinic, ("Ash", "Sample", "0142"), ("Bea", "Sample", "0143"))
    response = await desk.get("/api/v1/patients", params={"q": "sample", "limit": 1})
    assert response.json()["next_cursor"] == response.json()["items"][0]["id"]


class Planner:
    """A connection that asks how a query would be answered instead of asking the query."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.plan = ""

    async def fetch(self, query: str, *values: Any) -> list[Any]:
        rows = await self.connection.fetch(f"explain {query}", *values)
        self.plan = "\n".join(row[0] for row in rows)
        return []


@pytest.mark.parametrize(
    ("q", "indexes"),
    [
        ("samp", ["patients_by_name", "patients_by_given_name"]),
        ("sam as", ["patients_by_name", "patients_by_given_name"]),
        ("0142", ["patients_by_phone"]),
        ("5550142", ["patients_by_phone"]),
    ],
)
async def test_a_search_among_thousands_uses_the_indexes(
    pool: Pool, clinic: Clinic, q: str, indexes: list[str]
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
            select $1, gen_random_uuid(), given, family, family || E'\\x1f' || given,
                '+1' || (2010000000 + number * 1237), 'en'
            from (select number, md5(number::text) as given, md5('x' || number) as family
                from generate_series(1, 5000) as number) as people""",
            clinic.id,
        )
        await connection.execute("analyze patients")
        planner = Planner(connection)
        wanted = read_search(q, "?q", [])
        match wanted:
            case NameSearch(readings):
                await search_names(cast("Any", planner), clinic.id, readings, after=("s", new_id()), limit=51)
            case PhoneSearch(ending):
                await search_phones(cast("Any", planner), clinic.id, ending, after=None, limit=51)
    assert "Seq Scan on patients" not in planner.plan, planner.plan
    for index in indexes:
        assert f" {index} " in planner.plan, planner.plan


async def test_somebody_is_found_and_known_again_with_any_apostrophe(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await put_on_file(pool, clinic, ("Pat", "O\u2019Neil", "0142"))
    for typed in ("O'Neil", "o\u2019neil", "pat o`n"):
        assert await look_for(desk, typed) == ["Pat O\u2019Neil"]
    response = await desk.post(
        "/api/v1/patients", json={"given_name": "Pat", "family_name": "O'Neil", "phone": "201 555 0142"}
    )
    assert response.status_code in (200, 409), response.text
    assert await pool.fetchval("select count(*) from patients") == 1


async def test_two_old_files_of_one_person_are_both_listed_once_and_both_can_be_changed(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await put_on_file(pool, clinic, ("Pat", "O'Neil", "0142"))
    # As an older release compared names: what the migration of keys leaves where two are the same person.
    await pool.execute(
        """insert into patients (clinic_id, id, given_name, family_name, name_key, phone, language)
        values ($1, $2, 'Pat', $3, $4, '+12015550142', 'en')""",
        clinic.id, new_id(), "O\u2019Neil", "o\u2019neil\x1fpat",
    )  # fmt: skip
    seen: list[dict[str, Any]] = []
    params: dict[str, Any] = {"q": "0142", "limit": 1}
    while params:
        page = (await desk.get("/api/v1/patients", params=params)).json()
        seen += page["items"]
        assert len(seen) <= 2
        params = {"q": "0142", "limit": 1, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert [one["family_name"] for one in seen] == ["O'Neil", "O\u2019Neil"]
    for one in seen:
        changed = await desk.patch(f"/api/v1/patients/{one['id']}", json={"email": "pat@example.com"})
        assert changed.status_code == 200, changed.text
    refused = await desk.patch(f"/api/v1/patients/{seen[1]['id']}", json={"family_name": "O'Neil"})
    assert (refused.status_code, refused.json()["patient_id"]) == (409, seen[0]["id"])
