"""The pages as a browser without scripts uses them: booking in both languages, documentation, previews, errors."""

import gzip
import html
import re
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any

import httpx
import msgspec
import pytest
import time_machine
from litestar import Litestar

from scheduler.domain.clinics import Clinic, Therapist
from scheduler.settings import Settings
from scheduler.store.connections import Pool
from scheduler.web.pages.preview import is_previewing
from scheduler.web.pages.times import Times, Wish, find_times
from scheduler.web.pages.words import WORDS
from scheduler.web.problem_docs import every_error
from tests.integration.conftest import client_of
from tests.integration.requests import act, hold
from tests.phones import NUMBER

NOW = datetime.fromisoformat("2026-11-23T10:00:00-05:00")
DAY = "2026-12-08"
TEN = f"{DAY}T10:00:00-05:00"
ASH = {"given_name": "Ash", "family_name": "Sample", "phone": "201 555 0142", "email": "ash@example.com"}

LARGEST_PAGE = 15 * 1024
# What programmers read, all of it on one page.
LARGEST_REFERENCE = 32 * 1024


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
async def browser(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Yield what a browser sends; it keeps cookies, and says where it is sent instead of going there."""
    async with client_of(app, Accept="text/html,*/*;q=0.8") as client:
        yield client


async def choose(
    browser: httpx.AsyncClient, start: str = TEN, *, kind: str = "eval-run", **more: str
) -> httpx.Response:
    return await browser.post("/book/holds", data={"type": kind, "start": start, **more})


async def hold_page(browser: httpx.AsyncClient, **choice: str) -> str:
    """Choose a time and return the address of the third step."""
    response = await choose(browser, **choice)
    assert response.status_code == 303, response.text
    return response.headers["location"]


async def send(browser: httpx.AsyncClient, url: str, **fields: str) -> httpx.Response:
    """Send the form of the third step with the token that its page has."""
    page = await browser.get(url.partition("/extend")[0])
    return await browser.post(url, data={"token": hidden(page, "token"), **fields})


async def book(browser: httpx.AsyncClient, **fields: str) -> str:
    """Book a visit and return the address of its third step."""
    url = await hold_page(browser)
    response = await send(browser, url, **(fields or ASH))
    assert (response.status_code, response.headers["location"]) == (303, f"{url}/done"), response.text
    return url


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', page.text)
    assert found, f"{name} is not in the page"
    return html.unescape(found[1])


def text_of(page: httpx.Response) -> str:
    """Return what a person reads on the page, in one line."""
    body = re.sub(r"<(head|svg)\b.*?</\1>", " ", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def title_of(page: httpx.Response) -> str:
    return html.unescape(re.findall(r"<title>(.*)</title>", page.text)[0])


async def count(pool: Pool, what: str) -> int:
    return await pool.fetchval(f"select count(*) from {what}")


async def test_a_patient_books_in_three_steps(browser: httpx.AsyncClient, pool: Pool) -> None:
    assert (await browser.get("/")).headers["location"] == "/book"
    types = await browser.get("/book")
    assert '<a class="option" href="/book/t/eval-run">' in types.text
    assert "re-eval" not in types.text, "the front desk alone books that"
    times = await browser.get(f"/book/t/eval-run?day={DAY}")
    assert "Tuesday, December 8" in text_of(times)
    assert "Eastern Time, at our Fair Lawn clinic" in text_of(times)
    assert f'name="start" value="{TEN}"' in times.text
    url = await hold_page(browser)
    details = await browser.get(url)
    assert "Tuesday, December 8 at 10:00 AM" in text_of(details)
    assert "We’re holding this time for you until" in text_of(details)
    booked = await send(browser, url, **ASH, texts="yes")
    assert booked.status_code == 303
    done = await browser.get(booked.headers["location"])
    assert "You’re booked" in text_of(done)
    assert "the number ending in 42" in text_of(done)
    visit = await pool.fetchrow("select status, created_by, starts_at from visits")
    assert visit is not None
    assert (visit["status"], visit["created_by"], visit["starts_at"]) == (
        "booked",
        "public",
        datetime.fromisoformat(TEN),
    )
    consent = await pool.fetchrow("select granted, wording_version, method, client_address, user_agent from consents")
    assert consent is not None
    assert tuple(consent) == (True, "2026-11", "booking page", "127.0.0.1", browser.headers["user-agent"])


async def test_what_a_browser_calls_itself_is_kept_as_far_as_anybody_can_read_it(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    url = await hold_page(browser)
    browser.headers.encoding = "latin-1"
    browser.headers["user-agent"] = "Mozilla/5.0\x01\x7f caf\xe9 " + "x" * 300
    assert (await send(browser, url, **ASH, texts="yes")).status_code == 303
    kept = await pool.fetchval("select user_agent from consents")
    assert kept.startswith("Mozilla/5.0 caf\xe9 x")
    assert kept.isprintable()
    assert len(kept) == 200


async def test_page_email_and_calendar_tell_the_same_time(browser: httpx.AsyncClient, desk: httpx.AsyncClient) -> None:
    url = await book(browser)
    visit_id = url.rpartition("/")[2]
    messages = (await desk.get("/api/v1/messages", params={"visit_id": visit_id})).json()["items"]
    written = next(one["text"] for one in messages if (one["channel"], one["kind"]) == ("email", "booked"))
    said = "Tuesday, December 8 at 10:00 AM"
    assert said in text_of(await browser.get(f"{url}/done"))
    assert said in written.replace("\u00a0", " ")
    calendar = await browser.get(f"{url}/visit.ics")
    assert calendar.headers["content-type"] == "text/calendar; method=PUBLISH; charset=utf-8"
    assert "\r\nDTSTART:20261208T150000Z\r\n" in calendar.text
    besides_the_name = calendar.text.replace("\r\n ", "").replace("Physical Therapy", "")
    assert not re.search("hip|running|therap|Ash|Sample,", besides_the_name, re.IGNORECASE)


async def test_without_the_box_ticked_nothing_is_texted(browser: httpx.AsyncClient, pool: Pool) -> None:
    url = await hold_page(browser)
    assert "checked" not in (await browser.get(url)).text
    await send(browser, url, **ASH)
    assert await count(pool, "consents") == 0
    assert await count(pool, "messages where channel = 'sms'") == 0
    assert await count(pool, "messages where channel = 'email'") > 0


async def test_what_is_wrong_is_said_on_top_and_at_the_field_and_nothing_typed_is_lost(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    url = await hold_page(browser)
    wrong = {"given_name": " ", "family_name": "O'Neill <b>", "phone": "201 555", "email": "nobody", "texts": "yes"}
    page = await send(browser, url, **wrong)
    assert page.status_code == 422
    assert title_of(page).startswith("Error: ")
    assert 'role="alert"' in page.text
    for field, words in {
        "given_name": "Enter your first name",
        "phone": "Enter a 10-digit mobile number, like 201\u00a0555\u00a00142",
        "email": "Enter an email address, like name@example.com, or leave it empty",
    }.items():
        assert f'<li><a href="#{field}">{words}</a></li>' in page.text
        assert f'id="{field}-error"><span class="hidden">Error: </span>{words}</span>' in page.text
        assert re.search(rf'<input id="{field}"[^>]* aria-invalid="true"', page.text)
    for field in ("given_name", "family_name", "phone", "email"):
        typed = re.findall(rf'<input id="{field}"[^>]* value="([^"]*)"', page.text)
        assert [html.unescape(value) for value in typed] == [wrong[field]]
    assert 'name="texts" value="yes" aria-describedby="texts-hint" checked>' in page.text
    assert await count(pool, "patients") == 0


async def test_a_time_that_somebody_just_took_is_a_friendly_no(
    browser: httpx.AsyncClient, public: httpx.AsyncClient
) -> None:
    await hold(public, "eval-run", TEN, therapist="rivera")
    page = await choose(browser, who="rivera")
    assert page.status_code == 409
    assert "Someone just took 10:00 AM with Dr. A. Rivera. Nothing was booked." in text_of(page)
    assert re.search(r'<span class="slot lost"><b>10:00\xa0AM</b>', page.text)
    assert "12:45 PM" in text_of(page), "what is open that day is shown at once"


async def test_a_time_lost_while_typing_keeps_every_word(
    browser: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool
) -> None:
    url = await hold_page(browser, who="rivera")
    page = await browser.get(url)
    await run_out(pool)
    await hold(public, "eval-run", TEN, therapist="rivera")
    typed = {**ASH, "texts": "yes"}
    refused = await browser.post(url, data={"token": hidden(page, "token"), **typed})
    assert refused.status_code == 409
    assert await count(pool, "patients") == 0
    assert {name: hidden(refused, name) for name in typed} == typed
    # Another day, the other language and another time: all of them take what was typed along.
    for action in (f"/book/t/eval-run?day={DAY}", f"/book/t/eval-run?day={DAY}&lang=es"):
        assert f'formaction="{html.escape(action)}"' in refused.text
        again = await browser.post(action, data=typed)
        assert {name: hidden(again, name) for name in typed} == typed
    details = await choose(browser, f"{DAY}T14:00:00-05:00", **typed)
    assert details.status_code == 200
    assert 'value="Ash"' in details.text
    booked = await browser.post(
        re.findall(r'id="details"[^>]* action="([^"]+)"', details.text)[0],
        data={"token": hidden(details, "token"), **typed},
    )
    assert booked.status_code == 303
    assert await count(pool, "visits where status = 'booked'") == 1


async def test_a_hold_that_ran_out_is_booked_all_the_same_while_the_time_is_free(
    browser: httpx.AsyncClient, pool: Pool
) -> None:
    url = await hold_page(browser)
    await run_out(pool)
    assert "If it is still free, it is yours when you book." in text_of(await browser.get(url))
    assert (await send(browser, url, **ASH)).headers["location"] == f"{url}/done"


async def test_needing_longer_keeps_the_time_and_the_words(browser: httpx.AsyncClient, pool: Pool) -> None:
    url = await hold_page(browser)
    before = await pool.fetchval("select min(expires_at) from occupancy")
    page = await send(browser, f"{url}/extend", **ASH)
    assert page.status_code == 200
    assert 'value="Ash"' in page.text
    assert await pool.fetchval("select min(expires_at) from occupancy") > before
    assert (await send(browser, f"{url}/extend")).headers["location"] == url


async def test_changing_the_time_frees_the_old_one(browser: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    url = await hold_page(browser, who="rivera")
    back = html.unescape(
        re.findall(r'class="back" form="details" formaction="([^"]+)"', (await browser.get(url)).text)[0]
    )
    response = await browser.post(back, data={"given_name": ""})
    assert (response.status_code, response.headers["location"]) == (303, f"/book/t/eval-run?day={DAY}")
    await hold(public, "eval-run", TEN, therapist="rivera")


async def test_choosing_another_time_after_going_back_frees_the_old_one(browser: httpx.AsyncClient, pool: Pool) -> None:
    first = await hold_page(browser, who="rivera")
    times = await browser.get("/book/t/eval-run")
    assert f'<a href="{first}">Continue with this time</a>' in times.text
    await hold_page(browser, start=f"{DAY}T10:15:00-05:00", who="rivera")
    assert await count(pool, "visits where status = 'held'") == 1


async def test_the_holds_token_is_only_where_no_script_and_no_other_site_finds_it(browser: httpx.AsyncClient) -> None:
    response = await choose(browser)
    url, cookie = response.headers["location"], response.headers["set-cookie"]
    token = hidden(await browser.get(url), "token")
    assert len(token) >= 43
    assert token not in url
    assert cookie.startswith(f"hold-{url.rpartition('/')[2]}={token};")
    assert {"Path=/book", "HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))


async def test_a_form_that_is_not_ours_books_nothing(browser: httpx.AsyncClient, pool: Pool) -> None:
    url = await hold_page(browser)
    for fields in ({"token": ""}, {"token": "x" * 43}, {"token": "ñ"}):
        assert (await browser.post(url, data={**ASH, **fields})).status_code == 404
        assert (await browser.post(f"{url}/extend", data=fields)).status_code == 404
    as_json = await browser.post(url, json=ASH)
    assert as_json.status_code == 415
    assert await count(pool, "patients") == 0


async def test_a_booking_is_shown_to_the_browser_that_made_it_alone(app: Litestar, browser: httpx.AsyncClient) -> None:
    url = await book(browser)
    async with client_of(app, Accept="text/html") as stranger:
        stranger.cookies.set(f"hold-{url.rpartition('/')[2]}", f"{'x' * 43}.1", path="/book")
        for path in (url, f"{url}/done", f"{url}/visit.ics"):
            assert (await stranger.get(path)).status_code == 404
        # To somebody whose browser keeps no cookies every hold looks like this, each time they choose.
        assert "your browser keeps no cookies" in text_of(await stranger.get(url))


async def test_going_back_and_booking_again_is_one_visit(browser: httpx.AsyncClient, pool: Pool) -> None:
    url = await hold_page(browser)
    token = hidden(await browser.get(url), "token")
    for _ in range(2):
        response = await browser.post(url, data={"token": token, **ASH})
        assert response.headers["location"] == f"{url}/done"
    assert (await browser.get(url)).headers["location"] == f"{url}/done"
    assert await count(pool, "visits") == 1
    assert await count(pool, "messages where kind = 'booked'") == 1


async def test_a_cancelled_visit_no_longer_says_that_it_is_booked(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    url = await book(browser)
    visit = {"id": url.rpartition("/")[2], "version": 1}
    assert (await act(desk, visit, "cancel", reason="The patient asked")).status_code == 200
    done = text_of(await browser.get(f"{url}/done"))
    assert "This visit was canceled" in done
    assert "You’re booked" not in done
    assert (await browser.get(f"{url}/visit.ics")).status_code == 404


@pytest.mark.parametrize(
    ("start", "status", "words"),
    [
        ("2026-11-23T11:00:00-05:00", 409, "too soon to book online"),
        ("2026-11-20T10:00:00-05:00", 409, "too soon to book online"),
        ("2020-01-01T10:00:00-05:00", 409, "too soon to book online"),
        ("2027-11-01T10:00:00-04:00", 409, "cannot be booked online"),
        (f"{DAY}T10:07:00-05:00", 409, "cannot be booked online"),
        (f"{DAY}T10:00:00", 422, "Something went wrong"),
        ("9999-12-31T23:59:00-14:00", 422, "Something went wrong"),
        ("soon", 422, "Something went wrong"),
    ],
)
async def test_a_time_that_is_not_on_the_list_is_refused_in_plain_words(
    browser: httpx.AsyncClient, pool: Pool, start: str, status: int, words: str
) -> None:
    page = await choose(browser, start)
    assert page.status_code == status
    assert words in text_of(page)
    assert await count(pool, "visits") == 0


async def test_the_strip_shows_seven_days_on_which_the_clinic_is_open(pool: Pool, clinic: Clinic) -> None:
    visit_type = clinic.visit_types["follow-up"]

    async def find(first: date | None) -> Times:
        async with pool.acquire() as connection:
            return await find_times(connection, clinic, visit_type, Wish(first=first), now=NOW)

    times = await find(None)
    # Tomorrow is the first that notice allows; Thanksgiving and Sunday are left out.
    assert [day.date.day for day in times.days] == [24, 25, 27, 28, 30, 1, 2]
    assert times.day == date(2026, 11, 24)
    assert (times.earlier, times.more) == (None, "/book/t/follow-up?from=2026-12-03")
    further = await find(date(2026, 12, 3))
    assert [day.date.day for day in further.days] == [3, 4, 5, 7, 8, 9, 10]
    assert further.earlier == "/book/t/follow-up?from=2026-11-26"
    last = await find(date(2030, 1, 1))
    assert [day.date for day in last.days] == [date(2027, 3, 23)]
    assert last.more is None


async def test_first_available_gathers_everybody_and_a_therapist_only_their_own(pool: Pool, clinic: Clinic) -> None:
    okafor = clinic.therapists["okafor"]

    async def find(who: Therapist | None) -> Times:
        wish = Wish(who=who, day=date(2026, 12, 8))
        async with pool.acquire() as connection:
            return await find_times(connection, clinic, clinic.visit_types["eval-run"], wish, now=NOW)

    def starts(times: Times, code: str) -> set[datetime]:
        open_times = [one for _, part in times.parts for one in part]
        return {one.starts_at for one in open_times if code in [who.code for who in one.therapists]}

    everybody, own = await find(None), await find(okafor)
    offered = [choice.therapist.code if choice.therapist else None for choice in everybody.choices]
    assert offered == [None, "rivera", "okafor"]
    assert starts(own, "rivera") == set()
    assert starts(own, "okafor") == starts(everybody, "okafor") != set()


async def test_a_therapist_without_an_opening_is_said_so_and_the_others_are_a_tap_away(
    browser: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await pool.execute(
        """insert into time_off (clinic_id, id, therapist_id, during)
        select clinic_id, gen_random_uuid(), id, '[2026-11-01, 2028-01-01)' from therapists where code = 'okafor'"""
    )
    page = await browser.get("/book/t/eval-run?who=okafor")
    assert "Dr. B. Okafor has no openings in the next 90 days." in text_of(page)
    assert '<a class="button" href="/book/t/eval-run">' in page.text
    await pool.execute(
        """insert into closures (clinic_id, date, windows, set_by)
        select $1, day, '{}', 'desk' from generate_series('2026-11-01'::date, '2027-06-01', '1 day') as day
        on conflict (clinic_id, date) do update set windows = '{}'""",
        clinic.id,
    )
    page = await browser.get("/book/t/eval-run")
    assert "There are no openings online in the next 90 days." in text_of(page)
    # At night, when nobody answers the telephone, there is something to do all the same.
    assert '<a class="button" href="/book/call">Ask us to call you</a>' in page.text
    assert "No openings online right now" in text_of(await browser.get("/book"))


async def spanish_pages(browser: httpx.AsyncClient, public: httpx.AsyncClient) -> list[httpx.Response]:
    pages = [await browser.get("/book?lang=es"), await browser.get(f"/book/t/eval-run?day={DAY}")]
    url = await hold_page(browser)
    pages += [await browser.get(url), await send(browser, url, given_name="Ash"), await browser.get("/book/t/eval-run")]
    await send(browser, url, **ASH, texts="yes")
    pages += [await browser.get(f"{url}/done"), await browser.get("/nowhere")]
    await hold(public, "eval-run", f"{DAY}T14:00:00-05:00", therapist="rivera")
    return [*pages, await choose(browser, f"{DAY}T14:00:00-05:00", who="rivera")]


async def test_a_page_in_spanish_has_no_word_of_english(browser: httpx.AsyncClient, public: httpx.AsyncClient) -> None:
    english = [pair[0] for pair in WORDS.values() if pair[0] != pair[1] and "{" not in pair[0] and pair[0] != "English"]
    for page in await spanish_pages(browser, public):
        assert '<html lang="es">' in page.text
        words = text_of(page)
        assert [text for text in english if re.search(rf"\b{re.escape(text)}\b", words)] == [], words


async def test_the_language_can_be_changed_at_every_step_and_is_remembered(browser: httpx.AsyncClient) -> None:
    url = await hold_page(browser)
    assert f'formaction="{url}?lang=es"' in (await browser.get(url)).text
    page = await send(browser, f"{url}?lang=es", **ASH)
    assert page.status_code == 200
    assert '<html lang="es">' in page.text
    assert 'value="Ash"' in page.text
    assert "Hay un problema" not in page.text
    assert '<html lang="es">' in (await browser.get("/book")).text
    assert '<html lang="en">' in (await browser.get("/book?lang=en")).text
    assert '<html lang="en">' in (await browser.get("/book?lang=fr")).text


async def test_a_browser_that_prefers_spanish_gets_it(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/book", headers={"Accept-Language": "de, es-MX;q=0.8, en;q=0.5"})
    assert '<html lang="es">' in page.text


async def test_every_page_is_small_sound_and_private(
    browser: httpx.AsyncClient, public: httpx.AsyncClient, pool: Pool
) -> None:
    pages = [*await spanish_pages(browser, public), await browser.get("/docs"), await browser.get("/preview/messages")]
    assert await count(pool, "visits where status = 'booked'") == 1
    for page in pages:
        largest = LARGEST_REFERENCE if page.url.path == "/docs" else LARGEST_PAGE
        assert len(gzip.compress(page.content)) <= largest, page.url
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", page.text), page.url
        assert page.text.count("<h1") == 1, page.url
        assert not re.search(
            "//(?!127.0.0.1|www.openstreetmap|example.com)", re.sub(r"<pre.*?</pre>", "", page.text, flags=re.DOTALL)
        )
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        secret = re.compile(rf"Ash|Sample|{NUMBER}|example.com|cadera|hip|dolor", re.IGNORECASE)
        assert not secret.search(title_of(page)), page.url
        assert not secret.search(str(page.url)), page.url
        ids = re.findall(r'\bid="([^"]+)"', page.text)
        assert len(ids) == len(set(ids)), page.url
        assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(ids), page.url
    assert (await browser.get("/book")).headers["x-robots-tag"] == "all"
    assert (await browser.get("/book/t/eval")).headers["x-robots-tag"] == "noindex"


async def test_the_stylesheet_is_where_the_pages_say_and_named_by_what_is_in_it(browser: httpx.AsyncClient) -> None:
    address = re.findall(r'<link rel="stylesheet" href="([^"]+)">', (await browser.get("/book")).text)[0]
    assert re.fullmatch(r"/static/site\.css\?v=[0-9a-f]{12}", address)
    stylesheet = await browser.get(address)
    assert stylesheet.headers["content-type"].startswith("text/css")
    assert "url(" not in stylesheet.text


@pytest.mark.parametrize("path", ["/nowhere", "/book/nowhere", "/book/t/nothing", "/book/h/x", "/problems/nothing"])
async def test_a_person_who_gets_lost_sees_a_page(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "We can’t find that page" in text_of(page)
    assert "(201) 791-1100" in text_of(page)


@pytest.mark.parametrize("path", ["//elsewhere.example/x", "/\\elsewhere.example", "//book?lang=es"])
async def test_no_page_links_to_where_an_address_tempts_it(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.send(browser.build_request("GET", httpx.URL(f"http://clinic.test{path}")))
    assert not re.search(r'(href|action)="(//|/\\|[a-z]+://)', page.text), page.text


async def test_a_method_that_is_not_there_is_a_page_too(browser: httpx.AsyncClient) -> None:
    page = await browser.put("/book")
    assert page.status_code == 405
    assert page.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/health/nothing", "/static/nothing.css"])
async def test_a_program_gets_a_problem_whatever_it_accepts(browser: httpx.AsyncClient, path: str) -> None:
    response = await browser.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_whoever_asks_for_json_gets_a_problem_anywhere(public: httpx.AsyncClient) -> None:
    response = await public.get("/nowhere", headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_failure_of_ours_is_a_page_that_says_what_to_do(browser: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute("alter table working_windows rename to lost_windows")
    try:
        page = await browser.get("/book")
    finally:
        await pool.execute("alter table lost_windows rename to working_windows")
    assert page.status_code == 500
    assert "Nothing was booked. Please try again, or call us." in text_of(page)


async def test_the_documentation_has_every_operation_and_every_error(browser: httpx.AsyncClient, app: Litestar) -> None:
    page = await browser.get("/docs")
    document = app.openapi_schema.to_schema()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) > 20
    for operation in operations:
        assert f'id="{operation["operationId"]}"' in page.text
    for error in every_error():
        assert f'<a href="/problems/{error.code}">' in page.text
        explained = await browser.get(f"/problems/{error.code}")
        assert explained.status_code == 200
        assert "What to do" in text_of(explained)
    assert '<html lang="en">' in (await browser.get("/docs?lang=es")).text


async def test_a_problem_points_to_the_page_that_explains_it(public: httpx.AsyncClient, settings: Settings) -> None:
    problem = (await public.get("/api/v1/nothing")).json()
    address: str = problem["type"]
    assert address.startswith(f"{settings.public_base_url}/problems/")
    explained = await public.get(address.removeprefix(settings.public_base_url))
    assert problem["code"] in explained.text


async def test_the_previews_show_what_is_planned_and_what_was_voided_but_not_whose_it_is(
    browser: httpx.AsyncClient, desk: httpx.AsyncClient
) -> None:
    assert "No messages yet." in text_of(await browser.get("/preview/messages"))
    url = await book(browser, **ASH, texts="yes")
    visit = {"id": url.rpartition("/")[2], "version": 1}
    page = await browser.get("/preview/messages")
    assert "Tuesday, December 8 at 10:00 AM First visit: hip or running pain" in text_of(page)
    assert "you are booked Tue Dec 8 10:00 AM" in text_of(page)
    assert "Planned for Monday, December 7 at 10:00 AM" in text_of(page)
    assert 'class="message planned"' in page.text
    assert 'class="message void"' not in page.text
    assert not re.search("Ash|0142|ash@", page.text)
    await act(desk, visit, "cancel", reason="The patient asked")
    cancelled = await browser.get("/preview/messages", params={"visit_id": visit["id"]})
    assert 'class="message void"' in cancelled.text
    assert "Never sent. The visit was cancelled." in text_of(cancelled)


async def test_the_previews_can_be_read_in_a_terminal(public: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    await book(browser, **ASH, texts="yes")
    plain = await public.get("/preview/messages.txt")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "\n    | Twin Boro Physical Therapy Fair Lawn: you are booked Tue Dec 8 10:00 AM." in plain.text
    assert "<" not in plain.text
    assert plain.text == (await public.get("/preview/messages", headers={"Accept": "text/plain"})).text


@pytest.mark.parametrize(
    ("changes", "served"),
    [
        ({}, True),
        ({"sms_channel": "twilio"}, True),
        ({"sms_channel": "twilio", "email_channel": "smtp"}, False),
        ({"public_base_url": "https://clinic.example"}, False),
        ({"public_base_url": "http://[::1]:8000"}, True),
    ],
)
def test_previews_are_for_this_machine_alone(settings: Settings, changes: dict[str, Any], served: bool) -> None:
    assert is_previewing(msgspec.structs.replace(settings, **changes)) is served


async def run_out(pool: Pool) -> None:
    await pool.execute("update occupancy set expires_at = now() - interval '1 second' where kind = 'hold'")
