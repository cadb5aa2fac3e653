"""Messages and their health as the desk meets them, in a real browser: what fails is seen, seen to, and gone."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
from playwright.async_api import Page, expect

from scheduler.domain.staff import Role
from tests.acceptance.processes import running, until
from tests.browser.conftest import OpenPage
from tests.browser.desk import Booked, book, desk_faults, report, sign_in
from tests.browser.site import Site
from tests.browser.steps import watch_policy

INBOX, OPS = "/staff/messages", "/staff/ops"

LATE = "Reminders are late. Call tomorrow's first patients."
POLL = 31_000


async def devon(site: Site) -> Booked:
    """Book a visit that comes before all others, and late enough for a text that waits for the morning."""
    return await book(site, 1, "Devon", "Hartley", starts_in=timedelta(hours=20), email="devon@example.com")


async def healthy(site: Site) -> None:
    """Let the reminder job have run just now, and a worker live."""
    await site.pool.execute(
        "insert into job_runs select id, 'plan-reminders', now() from clinics"
        " on conflict (clinic_id, job) do update set ran_at = now()"
    )
    await site.pool.execute("insert into worker_heartbeats values (gen_random_uuid())")


async def a_busy_day(site: Site) -> dict[str, Booked]:
    """Let there be one of everything that the desk may have to see to."""
    await healthy(site)
    people = {
        "devon": await devon(site),
        "kim": await book(site, 2, "Kim", "Abara", starts_in=timedelta(hours=22), language="es"),
        "lee": await book(site, 4, "Lee", "Novak", starts_in=timedelta(hours=26)),
        "ash": await book(site, 6, "Ash", "Quill", starts_in=timedelta(days=2)),
    }
    await report(site, people["devon"].text_id, "undelivered", "30006")
    await report(site, people["kim"].text_id, "undelivered", "30007")
    await report(site, people["lee"].text_id, "delivered")
    await site.text_in(people["lee"].phone, "can i come a bit later")
    await site.text_in(people["ash"].phone, "CANCEL")
    return people


async def test_a_failure_shows_within_one_poll_and_leaves_with_a_trace_once_somebody_called(
    site: Site, open_page: OpenPage
) -> None:
    await healthy(site)
    booked = await devon(site)
    page = await open_page(new=True)
    await sign_in(page, site)
    await page.clock.install()
    await page.goto(OPS)
    status = page.get_by_role("status")
    await expect(status).to_have_text("Nothing needs you.")
    await report(site, booked.text_id, "undelivered", "30007")
    await page.clock.run_for(POLL)
    await expect(status).to_contain_text("1 failed message needs a person.")
    row = page.locator("table.lines tbody tr")
    await expect(row).to_contain_text("The phone company took the text for an unwanted one.")
    await row.get_by_role("button", name="Mark called").click()
    await expect(page.get_by_role("status").first).to_have_text("Marked as called.")
    await expect(page.get_by_text("Seen to by A.M.")).to_be_visible()
    await page.goto(f"{OPS}?show=open")
    await expect(row).to_have_count(0)
    traced = await site.pool.fetchrow(
        "select actor, details from audit_events where action = 'message.handled' and patient_id = $1",
        UUID(booked.patient_id),
    )
    assert traced is not None
    assert traced["actor"].startswith("staff:")
    assert traced["details"]["how"] == "called"


async def test_a_job_that_stopped_turns_its_tile_red_and_says_whom_to_call(site: Site, open_page: OpenPage) -> None:
    page = await open_page(new=True)
    await sign_in(page, site)
    await page.goto(OPS)
    await expect(page.get_by_role("status")).to_contain_text("No data yet.")
    async with running("worker", site.environment, site.log.with_name("worker.log")) as worker:
        await until(lambda: site.pool.fetchval("select 1 from job_runs"), what="the reminder job to run")
        await page.goto(OPS)
        await expect(page.get_by_role("status")).to_have_text("Nothing needs you.")
        tile = page.locator(".gauge", has_text="reminder job")
        await expect(tile).not_to_have_class(re.compile("red"))
        assert await worker.stop() == 0
    # As it would be three minutes later.
    await site.pool.execute("update job_runs set ran_at = ran_at - interval '3 minutes'")
    await page.goto(OPS)
    await expect(tile).to_have_class(re.compile("red"))
    await expect(tile).to_contain_text("late")
    await expect(page.get_by_role("status")).to_contain_text(LATE)
    tomorrow = page.get_by_role("status").get_by_role("link")
    await expect(tomorrow).to_have_attribute("href", re.compile(r"^/staff/day/\d{4}-\d\d-\d\d$"))


async def test_visits_without_a_reminder_are_counted_as_a_direct_query_counts_them(
    site: Site, open_page: OpenPage
) -> None:
    await healthy(site)
    for number, hours in enumerate((30, 25, 47, 23, 49)):
        booked = await book(site, number, "Pat", f"Number{number}", starts_in=timedelta(hours=hours))
        if number:
            await site.pool.execute(
                "delete from messages where visit_id = $1 and kind = 'reminder'", UUID(booked.visit_id)
            )
    direct = await site.pool.fetchval(
        """select count(*) from visits where status = 'booked'
            and starts_at between now() + interval '24 hours' and now() + interval '48 hours' and not exists (
                select from messages where visit_id = visits.id and kind = 'reminder' and state <> 'cancelled')"""
    )
    assert direct == 2
    page = await open_page(new=True)
    await sign_in(page, site)
    await page.goto(OPS)
    await expect(page.get_by_role("status")).to_contain_text(f"{direct} visits have no reminder. Call these patients.")
    line = page.locator(".health li", has_text="Booked visits without a reminder")
    await expect(line.get_by_role("link")).to_contain_text(str(direct))
    await line.get_by_role("link").click()
    await expect(page.locator("table.lines tbody tr")).to_have_count(direct)
    await expect(page.locator("table.lines tbody tr")).to_contain_text(["Pat N."] * direct)


async def test_every_tile_leads_to_the_rows_that_it_counts(site: Site, open_page: OpenPage) -> None:
    await a_busy_day(site)
    page = await open_page(new=True, scripts=False)
    await sign_in(page, site)
    await page.goto(OPS)
    rows = page.locator("table.lines tbody tr")
    for words, number in (("shown in the preview", 1), ("failed, 2 need a person", 2), ("opted out of texts", 1)):
        await page.locator(".gauge", has_text=words).click()
        await expect(rows).to_have_count(number)
        digits = re.findall(r"\b\d{7,}\b", re.sub(r"[\s().+-]+", "", await page.locator("body").inner_text()))
        assert [one for one in digits if "5550" in one] == []
    await page.get_by_role("link", name="Needs a person").click()
    await expect(rows).to_have_count(2)


async def test_a_wrong_number_is_mended_with_the_keyboard_alone_and_without_scripts(
    site: Site, open_page: OpenPage
) -> None:
    people = await a_busy_day(site)
    page = await open_page(new=True, scripts=False)
    await sign_in(page, site)
    await page.goto(INBOX)
    things = page.locator(".thing")
    await expect(things).to_have_count(4)
    await things.first.get_by_role("link", name="Fix number of Devon H.").focus()
    await page.keyboard.press("Enter")
    await page.get_by_label("Mobile phone").fill("201 555 01")
    await page.keyboard.press("Enter")
    await expect(page).to_have_title(re.compile("^Error: Fix number"))
    await expect(page.get_by_label("Mobile phone")).to_have_value("201 555 01")
    await page.get_by_label("Mobile phone").fill("201 555 0188")
    await page.get_by_label("They agree to texts at this number").focus()
    await page.keyboard.press("Space")
    await page.get_by_role("button", name="Save and send again").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Saved. The message goes there now")).to_be_visible()
    await expect(things).to_have_count(3)
    sent = await site.pool.fetchval("select address from messages where resend_of = $1", UUID(people["devon"].text_id))
    assert sent == "+12015550188"


async def test_three_calls_take_two_clicks_each(site: Site, open_page: OpenPage) -> None:
    await a_busy_day(site)
    page = await open_page(new=True)
    await sign_in(page, site)
    await page.goto(INBOX)
    things = page.locator(".thing")
    for left in (3, 2, 1):
        await (
            things.filter(has=page.get_by_role("link", name=re.compile("^Call")))
            .first.get_by_role("link", name=re.compile("^Call"))
            .click()
        )
        await expect(page.locator(".calling")).to_have_count(1)
        await expect(page.locator(".dial a[href^='tel:+1201555']")).to_have_count(1)
        await page.locator(".dial").get_by_role("button", name="Mark called").click()
        await expect(things).to_have_count(left)


async def test_a_visit_opens_on_the_board_and_another_time_is_looked_for_there(site: Site, open_page: OpenPage) -> None:
    people = await a_busy_day(site)
    await site.text_in(people["kim"].phone, "R")
    page = await open_page(new=True)
    await sign_in(page, site)
    await page.goto(INBOX)
    wish = page.locator(".thing", has_text="Wants another time")
    await wish.locator(".beside a").click()
    await expect(page).to_have_title(re.compile("^A visit"))
    await expect(page.locator("#rail")).to_contain_text("Kim")
    await page.go_back()
    await wish.get_by_role("link", name="Find a new time for Kim A.").click()
    await expect(page).to_have_title(re.compile("^Move a visit"))


async def test_what_comes_in_meanwhile_is_said_and_moves_nothing(site: Site, open_page: OpenPage) -> None:
    await healthy(site)
    page = await open_page(new=True)
    await sign_in(page, site)
    await page.clock.install()
    await page.goto(INBOX)
    await expect(page.get_by_text("Nothing needs you.")).to_be_visible()
    await site.text_in("+12015550177", "Is anybody there?")
    await page.clock.run_for(POLL)
    await expect(page.get_by_role("status")).to_have_text("1 new. Show it")
    await expect(page.locator(".thing")).to_have_count(0)
    await page.get_by_role("link", name="1 new. Show it").click()
    await expect(page.locator(".thing")).to_contain_text("Is anybody there?")


async def test_a_patients_token_finds_nothing_there(site: Site, open_page: OpenPage) -> None:
    booked = await devon(site)
    visit = (await site.desk.get(f"/api/v1/visits/{booked.visit_id}")).json()
    token = visit["manage_url"].rpartition("/")[2]
    async with httpx.AsyncClient(base_url=site.url, headers={"Accept": "text/html"}) as patient:
        for path in (OPS, INBOX):
            assert (await patient.get(path, headers={"Authorization": f"Bearer {token}"})).status_code == 404
            assert (await patient.get(f"/m/{token}{path}")).status_code == 404
            turned_away = await patient.get(path, headers={"Cookie": f"staff={token}"})
            assert turned_away.headers["location"].startswith("/staff/sign-in")
    # The desk acts on what failed, and therapists look at it.
    await report(site, booked.text_id, "undelivered", "30006")
    people: list[tuple[Role, str, int]] = [("therapist", "Rae Rivera", 0), ("desk", "Ana Morales", 1)]
    for role, name, actions in people:
        page = await open_page(new=True)
        await sign_in(page, site, role, name=name)
        for path in (OPS, INBOX):
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 200
            await expect(page.locator("main")).to_contain_text("Devon H.")
            await expect(page.locator("main").get_by_role("link", name="Fix number")).to_have_count(actions)
            assert (await page.locator("main form").count() > 0) <= (actions > 0)


async def states(page: Page, site: Site) -> AsyncIterator[str]:
    """Yield what the two pages show where messages are previewed; of sending, ``test_ops_states`` has every state."""

    async def go(address: str) -> str:
        await page.goto(address)
        return address

    yield await go(INBOX)
    people = await a_busy_day(site)
    yield await go(INBOX)
    yield await go(f"{INBOX}?only=reply&did=called&undo=failure/{people['kim'].text_id}")
    yield await go(f"{INBOX}?call={people['devon'].text_id}")
    yield await go(f"{INBOX}/{people['devon'].text_id}/fix")
    await page.get_by_label("Mobile phone").fill("1")
    await page.get_by_role("button", name="Save and send again").click()
    yield "a number that is none"
    yield await go(f"{OPS}?did=called")
    yield await go(f"{OPS}?range=week&show=left")


async def test_every_state_is_clean(site: Site, open_page: OpenPage) -> None:
    page = await open_page(new=True, lax=True)
    await sign_in(page, site)
    async for state in states(page, site):
        assert await desk_faults(page) == [], state
    await site.pool.execute("update staff_sessions set hide_names = true")
    await page.goto(INBOX)
    assert "Devon" not in await page.locator("body").inner_text()


async def test_no_page_breaks_its_policy(site: Site, open_page: OpenPage) -> None:
    page = await open_page(new=True)
    await sign_in(page, site)
    broken = await watch_policy(page)
    async for _ in states(page, site):
        pass
    assert broken == []
