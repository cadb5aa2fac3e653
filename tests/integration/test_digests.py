"""Mail to the people of the clinic: each digest once, each task told of once, and nobody's name in either."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import time_machine
from msgspec.structs import replace

from scheduler.domain.clinics import Clinic
from scheduler.domain.desk_tasks import TaskKind
from scheduler.ids import new_id
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.delivery import Post
from scheduler.services.desk_tasks import open_task
from scheduler.services.digests import alert_desk, mail_staff, plan_digests
from scheduler.settings import Settings
from scheduler.store.clinics import fetch_therapists, load_clinics
from scheduler.store.connections import Pool
from tests.integration.conftest import ROOT
from tests.integration.mailing import plain_text_of, send_all
from tests.integration.requests import ASH, JO, act, book
from tests.simulators.smtp import SmtpSimulator

SAMPLE = (ROOT / "config" / "clinic.toml").read_text(encoding="utf-8")
RIVERA, OKAFOR, DESK = "rivera@clinic.example", "okafor@clinic.example", "desk@clinic.example"
# No name in the address of the sample clinic.
KIM = ASH | {"given_name": "Kimberly", "family_name": "Unmentioned"}
ZED = {"given_name": "Zed", "family_name": "Onlyhere", "phone": "201 555 0177"}
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def on(wall_clock: str) -> datetime:
    """Return a moment of the day that is told of, a Tuesday."""
    return datetime.fromisoformat(f"2026-12-08T{wall_clock}-05:00")


MORNING = on("06:30")


@pytest.fixture(autouse=True)
def monday() -> Any:
    with time_machine.travel("2026-11-23T10:00:00-05:00", tick=True):
        yield


def with_addresses(text: str = SAMPLE) -> str:
    text = text.replace("[messages]\n", f'[messages]\ndesk_email = "{DESK}"\n')
    for name, address in (("rivera", RIVERA), ("okafor", OKAFOR)):
        text = text.replace(f"[therapists.{name}]\n", f'[therapists.{name}]\nemail = "{address}"\n')
    return text


async def apply(pool: Pool, folder: Path, *texts: str) -> tuple[list[Clinic], list[str]]:
    """Apply clinic files; return the clinics and what was told of the changes."""
    for number, text in enumerate(texts):
        (folder / f"{number}.toml").write_text(text, encoding="utf-8")
    async with pool.acquire() as connection, connection.transaction():
        changes = await apply_files(connection, read_files(folder))
        return await load_clinics(connection), [str(change) for change in changes]


@pytest.fixture
async def clinic(pool: Pool, tmp_path: Path) -> Clinic:
    """Return the sample clinic, whose desk and two of whose therapists read email."""
    (clinic,), _ = await apply(pool, tmp_path, with_addresses())
    return clinic


async def booked(desk: httpx.AsyncClient, wall_clock: str, patient: dict[str, Any] = ASH, **more: Any) -> Any:
    more = {"visit_type": "follow-up", "therapist": "rivera"} | more
    response = await book(desk, starts_at=on(wall_clock).isoformat(), patient=patient, **more)
    assert response.status_code == 201, response.text
    return response.json()


async def planned(pool: Pool, kind: str = "digest") -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch("select * from messages where kind = $1 order by id", kind)]


async def arrived(post: Post, smtp: SmtpSimulator, now: datetime, address: str = RIVERA) -> list[str]:
    """Send what is due and return the subject and text of every mail that somebody of the clinic got."""
    await send_all(post, now)
    return [
        f"{mail.message['Subject']}\n\n{plain_text_of(mail.message)}".replace("\u00a0", " ")
        for mail in smtp.received
        if mail.recipients == (address,)
    ]


async def test_a_therapist_finds_their_day_in_the_mail_at_the_clinics_hour(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings, post: Post, smtp: SmtpSimulator
) -> None:
    await booked(desk, "08:00", visit_type="eval-run")
    confirmed = await booked(desk, "10:00", JO)
    await act(desk, confirmed, "confirm")
    await booked(desk, "10:45", ZED)
    await mail_staff(pool, [clinic], settings, now=MORNING - SECOND)
    assert await planned(pool) == []
    await mail_staff(pool, [clinic], settings, now=MORNING)
    (digest,) = await arrived(post, smtp, MORNING)
    assert digest == (
        "Your day on Tuesday, December 8: 3 visits\n"
        "\n"
        "3 visits, 8:00 AM to 11:30 AM\n"
        "1 first visit, 2 not confirmed\n"
        "\n"
        "8:00 AM to 9:00 AM  A.S., first visit, not confirmed\n"
        "9:00 AM to 10:00 AM  Free\n"
        "10:00 AM to 10:45 AM  J.P.\n"
        "10:45 AM to 11:30 AM  Z.O., not confirmed\n"
        "\n"
        "This is the calendar as of 6:30 AM. Names and details are in the clinic's schedule, not in this email; with "
        "questions call (201) 791-1100.\n"
    )


async def test_neither_the_mail_nor_the_outbox_tells_who_comes_or_why(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings, post: Post, smtp: SmtpSimulator
) -> None:
    await booked(desk, "08:00", KIM, visit_type="eval-run")
    await mail_staff(pool, [clinic], settings, now=MORNING)
    await arrived(post, smtp, MORNING)
    (mail,) = [mail for mail in smtp.received if mail.recipients == (RIVERA,)]
    (row,) = await planned(pool)
    assert (row["visit_id"], row["patient_id"], row["state"]) == (None, None, "sent")
    for shown in (mail.raw.decode(), plain_text_of(mail.message), f"{row['variables']} {row['rendered']}"):
        for secret in ("Kim", "Unmentioned", "0142", "ash@", "eval", "hip", "running", "follow"):
            assert secret not in shown
    assert "text/calendar" not in mail.raw.decode()
    assert "List-Unsubscribe" not in mail.message


async def test_however_often_and_by_however_many_workers_it_is_looked_at_it_is_one_digest(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings, post: Post, smtp: SmtpSimulator
) -> None:
    await booked(desk, "08:00")
    await asyncio.gather(*(mail_staff(pool, [clinic], settings, now=MORNING) for _ in range(4)))
    await booked(desk, "10:00", JO)
    for minutes in (1, 2, 60, 300):
        await mail_staff(pool, [clinic], settings, now=MORNING + minutes * MINUTE)
        await arrived(post, smtp, MORNING + minutes * MINUTE)
    assert len(await arrived(post, smtp, on("11:59"))) == 1
    assert [row["dedupe_key"] for row in await planned(pool)] == ["digest:rivera:2026-12-08"]


async def test_a_worker_that_was_down_makes_up_for_it_until_noon_and_not_after(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await booked(desk, "08:00")
    await booked(desk, "15:00", JO)
    async with pool.acquire() as connection:
        assert await plan_digests(connection, clinic, now=on("12:00")) == 0
        assert await plan_digests(connection, clinic, now=on("11:59")) == 1
        assert await plan_digests(connection, clinic, now=on("11:59")) == 0
    (row,) = await planned(pool)
    assert row["expires_at"] == on("12:00")
    assert row["variables"]["count"] == "2 visits"


async def test_a_digest_that_could_not_leave_all_morning_is_not_sent_in_the_afternoon(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings, post: Post, smtp: SmtpSimulator
) -> None:
    await booked(desk, "08:00")
    await mail_staff(pool, [clinic], settings, now=MORNING)
    assert await arrived(post, smtp, on("12:00")) == []
    assert [row["state"] for row in await planned(pool)] == ["expired"]


async def test_nobody_without_visits_or_without_an_address_gets_one(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    await booked(desk, "10:00", therapist="marsh")
    cancelled = await booked(desk, "10:00", JO, therapist="okafor")
    await act(desk, cancelled, "cancel", reason="asked by phone")
    await booked(desk, "11:00", ZED, therapist="rivera")
    await pool.execute("update therapists set active = false where code = 'rivera'")
    async with pool.acquire() as connection:
        assert await plan_digests(connection, clinic, now=MORNING) == 0


async def test_a_visit_that_moved_away_or_came_is_told_of_as_it_is_in_the_morning(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    visit = await booked(desk, "08:00")
    await booked(desk, "10:00", JO)
    moved = await act(desk, visit, "reschedule", starts_at="2026-12-09T10:00:00-05:00")
    assert moved.status_code == 200, moved.text
    async with pool.acquire() as connection:
        await plan_digests(connection, clinic, now=MORNING)
        await plan_digests(connection, clinic, now=MORNING + timedelta(days=1))
    assert [row["variables"]["visits"].split("  ")[1] for row in await planned(pool)] == [
        "J.P., not confirmed",
        "A.S., not confirmed",
    ]


async def test_whoever_was_free_and_gets_a_visit_during_the_morning_hears_of_it(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic
) -> None:
    async with pool.acquire() as connection:
        assert await plan_digests(connection, clinic, now=MORNING) == 0
        await booked(desk, "15:00")
        assert await plan_digests(connection, clinic, now=on("09:00")) == 1


async def test_a_first_visit_is_known_by_what_is_on_file(desk: httpx.AsyncClient, pool: Pool, clinic: Clinic) -> None:
    earlier = await booked(desk, "08:00", visit_type="eval-run")
    await booked(desk, "10:00", visit_type="eval")
    async with pool.acquire() as connection:
        await plan_digests(connection, clinic, now=MORNING)
        assert (await planned(pool))[0]["variables"]["marked"] == "1 first visit, 2 not confirmed"
        await act(desk, earlier, "cancel", reason="asked by phone")
        await pool.execute("delete from messages where kind = 'digest'")
        await plan_digests(connection, clinic, now=MORNING)
    (row,) = await planned(pool)
    assert row["variables"]["visits"].replace("\u00a0", " ") == "10:00 AM to 11:00 AM  A.S., first visit, not confirmed"


async def test_an_address_comes_and_goes_with_the_clinic_file_and_is_told_to_nobody(
    pool: Pool, clinic: Clinic, tmp_path: Path
) -> None:
    _, changes = await apply(pool, tmp_path, with_addresses().replace(OKAFOR, "other@clinic.example"))
    assert changes == ["therapist okafor: email changed"]
    _, changes = await apply(pool, tmp_path, SAMPLE)
    assert sorted(changes) == [
        "clinic fair-lawn: desk_email changed",
        "therapist okafor: email changed",
        "therapist rivera: email changed",
    ]
    async with pool.acquire() as connection:
        assert {one.email for one in (await fetch_therapists(connection, clinic.id)).values()} == {None}
    assert await pool.fetchval("select count(*) from audit_events where details::text like '%@%'") == 0


async def to_see_to(
    pool: Pool, clinic: Clinic, visit: dict[str, Any] | None = None, *, kind: TaskKind = "undeliverable"
) -> UUID | None:
    async with pool.acquire() as connection:
        return await open_task(
            connection, clinic.id, kind=kind, subject_id=new_id(), visit_id=UUID(visit["id"]) if visit else None,
            reason="The number does not exist.",
        )  # fmt: skip


async def test_the_desk_hears_of_what_it_should_see_to_in_one_email(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings, post: Post, smtp: SmtpSimulator
) -> None:
    first, second = await booked(desk, "09:45", KIM), await booked(desk, "13:00", JO)
    await to_see_to(pool, clinic, first)
    await to_see_to(pool, clinic, second)
    await to_see_to(pool, clinic, first, kind="wants-to-move")
    await mail_staff(pool, [clinic], settings, now=on("03:00"))
    (alert,) = await arrived(post, smtp, on("03:00"), DESK)
    assert alert == (
        "3 things to see to at the front desk\n"
        "\n"
        "2 messages could not be delivered. Visits: Tue Dec 8 9:45 AM; Tue Dec 8 1:00 PM.\n"
        "1 person asked by text for another time. Visit: Tue Dec 8 9:45 AM.\n"
        "\n"
        "Who it is about, and why, is not in this email. Sign in to see to it: http://127.0.0.1:8000/staff/messages\n"
        "\n"
        "Twin Boro Physical Therapy, Fair Lawn\n"
    )
    (mail,) = [mail for mail in smtp.received if mail.recipients == (DESK,)]
    for secret in ("Kim", "Unmentioned", "Placeholder", "0142", "number does not exist"):
        assert secret not in mail.raw.decode()


async def test_the_desk_hears_at_most_every_ten_minutes_and_of_each_task_once(
    pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    now = datetime.now(UTC)
    await to_see_to(pool, clinic)
    await mail_staff(pool, [clinic], settings, now=now)
    for _ in range(2):
        await to_see_to(pool, clinic)
    for minutes in (1, 5, 9):
        await mail_staff(pool, [clinic], settings, now=now + minutes * MINUTE)
    await mail_staff(pool, [clinic], settings, now=now + 10 * MINUTE - SECOND)
    assert [row["variables"]["count"] for row in await planned(pool, "desk_alert")] == ["1 thing to see to"]
    await mail_staff(pool, [clinic], settings, now=now + 10 * MINUTE)
    assert len(await planned(pool, "desk_alert")) == 2
    for minutes in (11, 20, 40):
        await mail_staff(pool, [clinic], settings, now=now + minutes * MINUTE)
    assert [row["variables"]["count"] for row in await planned(pool, "desk_alert")] == [
        "1 thing to see to",
        "2 things to see to",
    ]


async def test_workers_that_look_at_once_tell_the_desk_once(pool: Pool, clinic: Clinic, settings: Settings) -> None:
    for _ in range(5):
        await to_see_to(pool, clinic)
        await asyncio.gather(*(mail_staff(pool, [clinic], settings) for _ in range(4)))
    (alert,) = await planned(pool, "desk_alert")
    assert alert["variables"]["count"] == "1 thing to see to"
    assert await pool.fetchval("select count(*) from desk_tasks where alerted_at is null") == 4


async def test_a_second_worker_waits_for_nobody_and_does_not_tell_of_newer_tasks_meanwhile(
    pool: Pool, clinic: Clinic
) -> None:
    await to_see_to(pool, clinic)
    async with pool.acquire() as one, pool.acquire() as other, one.transaction():
        assert await alert_desk(one, clinic, base_url="https://clinic.example") == 1
        await to_see_to(pool, clinic)
        async with other.transaction():
            assert await alert_desk(other, clinic, base_url="https://clinic.example") == 0
    assert len(await planned(pool, "desk_alert")) == 1


async def test_a_task_counts_as_told_only_if_its_email_is_planned(pool: Pool, clinic: Clinic) -> None:
    await to_see_to(pool, clinic)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await alert_desk(connection, clinic, base_url="https://clinic.example") == 1
        await transaction.rollback()
        assert await pool.fetchval("select count(*) from desk_tasks where alerted_at is not null") == 0
        async with connection.transaction():
            assert await alert_desk(connection, clinic, base_url="https://clinic.example") == 1


async def test_what_is_crossed_off_before_the_desk_hears_of_it_is_not_told(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    task = await to_see_to(pool, clinic)
    assert (await desk.post(f"/api/v1/tasks/{task}/handled")).status_code == 200
    await mail_staff(pool, [clinic], settings)
    assert await planned(pool, "desk_alert") == []


async def test_a_desk_without_an_address_is_told_as_soon_as_it_has_one(
    pool: Pool, settings: Settings, tmp_path: Path
) -> None:
    (silent,), _ = await apply(pool, tmp_path, SAMPLE)
    await to_see_to(pool, silent)
    await mail_staff(pool, [silent], settings)
    assert await planned(pool, "desk_alert") == []
    (told,), _ = await apply(pool, tmp_path, with_addresses())
    await mail_staff(pool, [told], settings)
    assert len(await planned(pool, "desk_alert")) == 1


async def test_each_clinic_tells_its_own_people_of_its_own_visits_and_tasks(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings, tmp_path: Path
) -> None:
    other = with_addresses().replace('code = "fair-lawn"', 'code = "wayne"').replace("clinic.example", "wayne.example")
    (_, wayne), _ = await apply(pool, tmp_path, with_addresses(), other)
    await booked(desk, "08:00")
    await to_see_to(pool, wayne)
    await mail_staff(pool, [clinic, wayne], settings, now=MORNING)
    assert [(row["clinic_id"], row["address"]) for row in await planned(pool)] == [(clinic.id, RIVERA)]
    assert [(row["clinic_id"], row["address"]) for row in await planned(pool, "desk_alert")] == [
        (wayne.id, "desk@wayne.example")
    ]


async def test_trouble_at_one_clinic_stops_neither_the_other_nor_the_other_mail(
    desk: httpx.AsyncClient, pool: Pool, clinic: Clinic, settings: Settings
) -> None:
    await booked(desk, "08:00")
    await to_see_to(pool, clinic)
    await mail_staff(pool, [replace(clinic, timezone="Nowhere/Land"), clinic], settings, now=MORNING)
    assert len(await planned(pool)) == len(await planned(pool, "desk_alert")) == 1
