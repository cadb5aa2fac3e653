"""Whatever is sent, the answer is a problem that names what is wrong: never a trace, never a 500, never silence."""

from typing import Any

import httpx
import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.store.connections import Pool
from tests.integration.requests import ASH

START = "2027-01-12T10:00:00-05:00"
HOLD: dict[str, Any] = {"visit_type": "eval-run", "starts_at": START}
BOOKING: dict[str, Any] = {
    "hold_id": "01a206f9-fd71-7771-a54c-6c959606910c",
    "hold_token": "x",
    "patient": {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142"},
}


@pytest.fixture(autouse=True)
def november() -> Any:
    with time_machine.travel("2026-11-23T10:00:00-05:00", tick=True):
        yield


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-content-type-options"] == "nosniff"
    body = response.json()
    assert (body["code"], body["status"]) == (code, status)
    assert body["type"].endswith(f"/problems/{code}")
    assert body["title"]
    return body


def fields(response: httpx.Response) -> list[tuple[str, str]]:
    body = problem(response, 422, "invalid-request")
    return [(error["pointer"], error["code"]) for error in body["errors"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"colour": "blue"}, [("/colour", "unknown-field")]),
        ({"starts_at": "2027-01-12T10:00:00"}, [("/starts_at", "time-without-offset")]),
        ({"starts_at": "2020-01-12T10:00:00-05:00"}, [("/starts_at", "time-in-the-past")]),
        ({"starts_at": "2037-01-12T10:00:00-05:00"}, [("/starts_at", "time-too-far")]),
        ({"starts_at": "2027-01-12T10:00:30-05:00"}, [("/starts_at", "time-not-whole")]),
        ({"starts_at": "tomorrow"}, [("/starts_at", "time-invalid")]),
        ({"starts_at": "2027-01-12T10:00:00 05:00"}, [("/starts_at", "time-invalid")]),
        ({"a/b~c": 1}, [("/a~1b~0c", "unknown-field")]),
        ({"starts_at": 1799766000}, [("/starts_at", "invalid")]),
        ({"starts_at": None}, [("/starts_at", "invalid")]),
        ({"visit_type": "massage"}, [("/visit_type", "visit-type-unknown")]),
        ({"therapist": "nobody"}, [("/therapist", "therapist-unknown")]),
        (
            {"visit_type": "massage", "therapist": "nobody", "starts_at": "soon"},
            [
                ("/visit_type", "visit-type-unknown"),
                ("/therapist", "therapist-unknown"),
                ("/starts_at", "time-invalid"),
            ],
        ),
    ],
)
async def test_a_hold_that_makes_no_sense_names_every_field_at_fault(
    public: httpx.AsyncClient, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert fields(await public.post("/api/v1/holds", json=HOLD | changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"phone": "123"}, [("/patient/phone", "phone-invalid")]),
        ({"given_name": " "}, [("/patient/given_name", "name-missing")]),
        ({"email": "ash@"}, [("/patient/email", "email-invalid")]),
        ({"email": ""}, [("/patient/email", "email-invalid")]),
        ({"given_name": "\u200d\u200d"}, [("/patient/given_name", "name-missing")]),
        *(
            (
                {"sms_consent": {"granted": True, "wording_version": blank}},
                [("/patient/sms_consent/wording_version", "invalid")],
            )
            for blank in ("", " ")
        ),
        ({"language": "fr"}, [("/patient/language", "language-unknown")]),
        ({"birth_date": "2999-01-01"}, [("/patient/birth_date", "birth-date-invalid")]),
        ({"birth_date": "01/02/1990"}, [("/patient/birth_date", "invalid")]),
        ({"diagnosis": "hip"}, [("/patient/diagnosis", "unknown-field")]),
        (
            {"phone": "123", "given_name": "", "email": "nope"},
            [
                ("/patient/given_name", "name-missing"),
                ("/patient/phone", "phone-invalid"),
                ("/patient/email", "email-invalid"),
            ],
        ),
    ],
)
async def test_a_patient_that_cannot_be_reached_names_every_field_at_fault(
    public: httpx.AsyncClient, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    body = BOOKING | {"patient": BOOKING["patient"] | changes}
    assert fields(await public.post("/api/v1/visits", json=body)) == expected


async def test_a_missing_field_a_missing_body_and_a_missing_patient_are_named(public: httpx.AsyncClient) -> None:
    assert fields(await public.post("/api/v1/holds", json={"visit_type": "eval-run"})) == [("/starts_at", "missing")]
    assert fields(await public.post("/api/v1/holds")) == [("", "missing")]
    without = {key: value for key, value in BOOKING.items() if key != "patient"}
    assert fields(await public.post("/api/v1/visits", json=without)) == [("/patient", "missing")]


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b'{"visit_type": ', "malformed-request", 400),
        (b'{"visit_type": "a", "visit_type": "b", "starts_at": "c"}', "malformed-request", 400),
        (b"[" * 30_000 + b"]" * 30_000, "malformed-request", 400),
        (b'{"visit_type": "eval\\u0000run", "starts_at": "c"}', "malformed-request", 400),
        (b'{"visit_type": "eval", "\\u0000": 1}', "malformed-request", 400),
        (b'{"visit_type": ["\\\\\\u0000"], "starts_at": "c"}', "malformed-request", 400),
        (b'{"visit_type": NaN, "starts_at": "c"}', "malformed-request", 400),
        (b'\xff\xfe{"visit_type": 1}', "malformed-request", 400),
        (b'{"visit_type": "\\ud800", "starts_at": "c"}', "malformed-request", 400),
        (b'{"\\udc00": 1}', "malformed-request", 400),
        (b'{"visit_type": ' + b"9" * 5000 + b"}", "malformed-request", 400),
        (b'{"visit_type": "' + b"a" * 12_000_000 + b'"}', "body-too-large", 413),
        (b"[]", "invalid-request", 422),
        (b"null", "invalid-request", 422),
        (b'"hold"', "invalid-request", 422),
    ],
)
async def test_a_body_that_is_no_proper_json_object_is_refused(
    public: httpx.AsyncClient, body: bytes, code: str, status: int
) -> None:
    response = await public.post("/api/v1/holds", content=body, headers={"Content-Type": "application/json"})
    problem(response, status, code)


async def test_a_body_of_another_kind_is_refused(public: httpx.AsyncClient) -> None:
    response = await public.post("/api/v1/holds", content=b"a=b", headers={"Content-Type": "text/plain"})
    problem(response, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"to": "2027-01-13"}, [("?from", "missing")]),
        ({"from": "2027-01-12", "to": "2027-01-12"}, [("?to", "range-empty")]),
        ({"from": "2027-01-13", "to": "2027-01-12"}, [("?to", "range-empty")]),
        ({"from": "2027-01-01", "to": "2027-03-05"}, [("?to", "range-too-long")]),
        ({"from": "2027-01-01T00:00:00-05:00", "to": "2027-03-04T00:01:00-05:00"}, [("?to", "range-too-long")]),
        ({"from": "now", "to": "2027-01-12T10:00:00"}, [("?from", "time-invalid"), ("?to", "time-without-offset")]),
        ({"from": "2027-01-12", "to": "2027-01-13", "limit": "many"}, [("?limit", "invalid")]),
        ({"from": "2027-01-12", "to": "2027-01-13", "therapist": "nobody"}, [("?therapist", "therapist-unknown")]),
        ({"from": "2027-02-30", "to": "2027-03-01"}, [("?from", "time-invalid")]),
        ({"from": "0001-01-01", "to": "2027-03-01"}, [("?from", "time-invalid")]),
        ({"from": "2027-03-01", "to": "9999-12-31T23:59:59-14:00"}, [("?to", "time-out-of-range")]),
    ],
)
async def test_a_query_for_slots_that_makes_no_sense_names_the_parameter(
    public: httpx.AsyncClient, params: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    response = await public.get("/api/v1/slots", params={"visit_type": "eval-run", **params})
    assert fields(response) == expected


async def test_two_months_of_slots_are_two_months_whatever_the_clocks_do(public: httpx.AsyncClient) -> None:
    for first, last in (("2027-01-01", "2027-03-04"), ("2027-02-01", "2027-04-04"), ("2027-09-10", "2027-11-11")):
        answer = await public.get("/api/v1/slots", params={"visit_type": "eval-run", "from": first, "to": last})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("visits?therapits=rivera", [("?therapits", "unknown-parameter")]),
        ("visits?status=booked&status=confirmed", [("?status", "given-twice")]),
        ("visits?from_=2027-01-12&a&b=1", [("?from_", "unknown-parameter"), ("?a", "unknown-parameter"),
                                          ("?b", "unknown-parameter")]),
        ("therapists?visit-type=eval", [("?visit-type", "unknown-parameter")]),
        ("clinic?q=1", [("?q", "unknown-parameter")]),
        (f"patients?q=sa&{'long' * 100}=1", [(f"?{'long' * 15}", "unknown-parameter")]),
    ],
)  # fmt: skip
async def test_a_parameter_that_an_operation_does_not_have_is_refused_and_not_passed_over(
    desk: httpx.AsyncClient, query: str, expected: list[tuple[str, str]]
) -> None:
    assert fields(await desk.get(f"/api/v1/{query}")) == expected


async def test_a_query_of_nothing_but_nonsense_is_not_answered_at_its_own_length(desk: httpx.AsyncClient) -> None:
    names = "&".join(f"nonsense{number}=1" for number in range(500))
    assert len(fields(await desk.get(f"/api/v1/visits?{names}"))) == 20


async def test_only_the_api_minds_what_others_add_to_its_addresses(public: httpx.AsyncClient) -> None:
    assert (await public.get("/book?utm_source=newsletter&utm_source=again")).status_code == 200
    assert (await public.options("/api/v1/slots?anything=1")).status_code == 204


@pytest.mark.parametrize(
    "path", ["visits", "messages", "closures", "therapists/rivera/overrides", "therapists/rivera/time-off"]
)
async def test_a_list_of_a_stretch_that_ends_before_it_begins_is_refused(desk: httpx.AsyncClient, path: str) -> None:
    for first, last in (("2027-01-13", "2027-01-12"), ("2027-01-12", "2027-01-12")):
        answer = await desk.get(f"/api/v1/{path}", params={"from": first, "to": last})
        assert fields(answer) == [("?to", "range-empty")]
    assert (await desk.get(f"/api/v1/{path}", params={"from": "2027-01-12", "to": "2027-01-13"})).status_code == 200


@pytest.mark.parametrize("cursor", ["x", "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCA", "OTk5OS0xMi0zMVQyMzo1OTo1OS0xNDowMCAx"])
async def test_a_cursor_that_we_did_not_give_is_refused(desk: httpx.AsyncClient, cursor: str) -> None:
    assert fields(await desk.get("/api/v1/visits", params={"cursor": cursor})) == [("?cursor", "cursor-invalid")]


@pytest.mark.parametrize(
    "path",
    ["visits", "messages", "patients?q=sam", "inbound", "tasks", "closures", "therapists/rivera/time-off"],
)
async def test_a_cursor_of_nothing_is_refused_and_not_the_first_page(desk: httpx.AsyncClient, path: str) -> None:
    address = f"/api/v1/{path}{'&' if '?' in path else '?'}cursor="
    assert [pointer for pointer, _ in fields(await desk.get(address))] == ["?cursor"]


@pytest.mark.parametrize(
    ("address", "pointer"),
    [
        ("therapists?visit_type=", "?visit_type"),
        ("visits?therapist=", "?therapist"),
        ("visits?patient_id=", "?patient_id"),
        ("visits?status=", "?status"),
        ("visits?from=", "?from"),
        ("messages?visit_id=", "?visit_id"),
        ("messages?channel=", "?channel"),
        ("messages?needs_attention=", "?needs_attention"),
    ],
)
async def test_an_empty_filter_does_not_mean_everything(desk: httpx.AsyncClient, address: str, pointer: str) -> None:
    assert [named for named, _ in fields(await desk.get(f"/api/v1/{address}"))] == [pointer]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"starts_at": ""}, [("/starts_at", "time-invalid")]),
        ({"visit_type": ""}, [("/visit_type", "visit-type-unknown")]),
        ({"hold_token": "x"}, [("/hold_id", "missing")]),
        ({"overbook": {"reason": " \t "}, "therapist": "rivera"}, [("/overbook/reason", "invalid")]),
        ({"overbook": {"reason": ""}, "therapist": "rivera"}, [("/overbook/reason", "invalid")]),
    ],
)
async def test_a_booking_by_key_that_makes_no_sense_names_every_field_at_fault(
    desk: httpx.AsyncClient, pool: Pool, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert fields(await desk.post("/api/v1/visits", json=HOLD | {"patient": ASH} | changes)) == expected
    assert not await pool.fetchval("select count(*) from visits")


async def test_six_characters_that_spell_an_escape_are_no_nul(public: httpx.AsyncClient) -> None:
    body = b'{"visit_type": "\\\\u0000", "starts_at": "2027-01-12T10:00:00-05:00"}'
    answer = await public.post("/api/v1/holds", content=body, headers={"Content-Type": "application/json"})
    assert fields(answer) == [("/visit_type", "visit-type-unknown")]


WITHOUT_BODY = [
    *(f"visits/{{id}}/{action}" for action in ("confirm", "arrive", "complete", "no-show", "undo")),
    "holds/{id}/extend",
    *(f"messages/{{id}}/{action}" for action in ("resend", "handled")),
    "inbound/{id}/handled",
    "tasks/{id}/handled",
    *(f"webhooks/{{id}}/{action}" for action in ("secret/rotate", "test", "deliveries/{id}/redeliver")),
]


@pytest.mark.parametrize("path", WITHOUT_BODY)
async def test_what_takes_no_body_refuses_whatever_one_says(desk: httpx.AsyncClient, path: str) -> None:
    address = f"/api/v1/{path.replace('{id}', BOOKING['hold_id'])}"
    headers = {"Content-Type": "application/json", "If-Match": '"1"', "Hold-Token": "x"}

    async def send(body: bytes) -> httpx.Response:
        return await desk.post(address, content=body, headers=headers)

    for nothing in (b"", b"{}", b" { } "):
        problem(await send(nothing), 404, "hold-not-found" if "hold" in path else "not-found")
    assert fields(await send(b'{"reason": "late"}')) == [("/reason", "unknown-field")]
    for other in (b"[]", b"null", b"1"):
        assert fields(await send(other)) == [("", "invalid")]
    problem(await send(b"{"), 400, "malformed-request")
    problem(await send(b'{"a": 1, "a": 2}'), 400, "malformed-request")
    headers["Content-Type"] = "text/plain"
    problem(await send(b"a=b"), 415, "unsupported-media-type")


async def test_what_is_not_there_and_what_cannot_be_done_are_problems_too(public: httpx.AsyncClient) -> None:
    problem(await public.get("/api/v1/nothing"), 404, "not-found")
    problem(await public.put("/api/v1/clinic"), 405, "method-not-allowed")
    problem(await public.delete("/api/v1/holds/not-an-id", headers={"Hold-Token": "x"}), 404, "not-found")


async def test_what_we_did_not_foresee_is_told_without_a_word_about_our_insides(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    await pool.execute("alter table working_windows rename to lost_windows")
    try:
        answer = await desk.post("/api/v1/holds", json=HOLD)
    finally:
        await pool.execute("alter table lost_windows rename to working_windows")
    problem(answer, 500, "internal-error")
    assert answer.json()["detail"] == "Nothing was changed."
    assert answer.json()["instance"].endswith(answer.headers["x-request-id"])
    assert "windows" not in answer.text
    assert not await pool.fetchval("select count(*) from visits")


async def test_a_database_that_is_in_the_way_for_a_moment_is_said_with_when_to_try_again(
    desk: httpx.AsyncClient, pool: Pool
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table visits in access exclusive mode")
        answer = await desk.post("/api/v1/holds", json=HOLD)
    problem(answer, 503, "too-busy")
    assert answer.headers["retry-after"] == "1"


async def test_the_desks_side_is_closed_to_the_public_and_to_wrong_keys(
    public: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    closed = await public.get("/api/v1/visits")
    problem(closed, 401, "unauthorized")
    assert closed.headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer tbs_wrong", "Bearer ", "Basic YTpi", "tbs_wrong"):
        problem(await public.get("/api/v1/visits", headers={"Authorization": wrong}), 401, "unauthorized")
    direct = await public.post(
        "/api/v1/visits", json=HOLD | {"patient": {k: v for k, v in ASH.items() if k != "sms_consent"}}
    )
    problem(direct, 401, "unauthorized")
    problem(await desk.get("/api/v1/visits/01a206f9-fd71-7771-a54c-6c959606910c"), 404, "not-found")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["visit_type", "starts_at", "therapist", "room", "patient", "patient_id", "hold_id", "hold_token", "overbook"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(NAMES, JSON, max_size=6), path=st.sampled_from(["holds", "visits"]))
async def test_no_json_at_all_makes_the_service_fail(desk: httpx.AsyncClient, body: dict[str, Any], path: str) -> None:
    response = await desk.post(f"/api/v1/{path}", json=body)
    assert 400 <= response.status_code < 500, (response.status_code, body)
    assert response.headers["content-type"] == "application/problem+json"
