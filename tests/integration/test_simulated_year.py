"""A year of a busy clinic in a minute: everybody hears exactly what the ladder promises, and nobody anything else.

The planner and the dispatcher are the real ones over a real database, with the moment as an argument; what should
leave is worked out again in plain Python. ``make year`` lives through the whole year, ``make test`` through a few
weeks of a small clinic around either change of the clocks.
"""

import os
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
import structlog

from scheduler.channels.texts import load_texts
from scheduler.domain.clinics import Clinic
from scheduler.services import delivery
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.services.delivery import Post
from scheduler.services.directory import Directory
from scheduler.settings import Settings
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Pool
from tests.integration.year.days import Days, Recorder
from tests.integration.year.promises import Rules, Sent, promised
from tests.integration.year.world import NEW_YORK, Year, make_year, wall

# First and last day, therapists, patients, and the days that close when everybody is booked already.
_WHOLE_YEAR = (date(2027, 1, 2), date(2028, 1, 1), 10, 1000, {date(2027, 1, 27), date(2027, 2, 16), date(2027, 12, 15)})
_AROUND_SPRING = (date(2027, 3, 1), date(2027, 3, 27), 3, 70, {date(2027, 3, 15)})
_AROUND_AUTUMN = (date(2027, 10, 25), date(2027, 11, 19), 3, 70, {date(2027, 11, 9)})

PERIODS = (
    [pytest.param(*_WHOLE_YEAR, id="2027")]
    if os.environ.get("SIMULATED_YEAR") == "whole"
    else [pytest.param(*_AROUND_SPRING, id="spring"), pytest.param(*_AROUND_AUTUMN, id="autumn")]
)


@pytest.fixture
async def large_clinic(pool: Pool, settings: Settings) -> Clinic:
    """Return the sample clinic with ten therapists."""
    (file,) = read_files(settings.scheduler_clinic)
    therapists = [
        msgspec.structs.replace(file.therapists[number % len(file.therapists)], code=f"therapist-{number}")
        for number in range(10)
    ]
    async with pool.acquire() as connection, connection.transaction():
        await apply_files(connection, [msgspec.structs.replace(file, therapists=tuple(therapists))])
        return (await load_clinics(connection))[0]


def rules_of(clinic: Clinic) -> Rules:
    """Return the rules that the oracle reads, as the clinic's file has them."""
    opens, closes = clinic.settings.text_window
    limits = clinic.settings.text_limits
    return Rules(
        ladder=[
            {
                "template": rung.template, "channel": rung.channel, "lead": rung.lead_minutes // 60,
                "visit_types": rung.visit_types, "only_unconfirmed": rung.only_unconfirmed,
                "needs_consent": rung.needs_consent,
            }
            for rung in clinic.settings.reminders
        ],
        opens=time(*divmod(opens, 60)),
        closes=time(*divmod(closes, 60)),
        usual=(limits.per_day, limits.per_week),
        frequent=(limits.frequent_per_day, limits.frequent_per_week),
    )  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("first", "last", "therapists", "patients", "snow"), PERIODS)
async def test_a_year_brings_exactly_what_the_ladder_promises(
    pool: Pool, settings: Settings, large_clinic: Clinic, monkeypatch: pytest.MonkeyPatch,
    first: date, last: date, therapists: int, patients: int, snow: set[date],
) -> None:  # fmt: skip
    closed = {date(2027, 1, 1), date(2027, 5, 31), date(2027, 7, 5), date(2027, 9, 6), date(2027, 11, 25)}
    year = make_year(first, last, therapists=therapists, patients=patients, closed=closed, snow=snow, seed=2027)
    outside = Recorder()
    post = Post(
        pool=pool,
        directory=Directory([large_clinic]),
        channels={"sms": outside, "email": outside},
        texts=load_texts(settings.scheduler_clinic.parent / "messages"),
        settings=msgspec.structs.replace(settings, messages_per_second=1000),
    )
    # A simulated moment has no second in which to send the next batch.
    monkeypatch.setattr(delivery, "BATCH", 50)
    days = Days(post, large_clinic, year, outside)
    with structlog.testing.capture_logs():
        await days.live()

    sent, expected = await days.sent(), promised(year, rules_of(large_clinic))
    assert describe(sent - expected) == [], "sent, and nobody promised it"
    assert describe(expected - sent) == [], "promised, and not sent"
    assert set(sent.values()) == {1}
    assert_nobody_was_disturbed(year, sent, outside)
    await assert_the_world_was_busy(pool, year, sent, patients)

    off, on = year.without_planner
    assert {count for at, count in days.forgotten.items() if not off <= at < on} == {0}
    assert max(count for at, count in days.forgotten.items() if off <= at < on) > 0
    assert await pool.fetchval("select count(*) from messages where state in ('sending', 'unknown', 'failed')") == 0
    # Somebody calls those alone whose one reminder was a text too many.
    called = await pool.fetch("select kind, visit_id from desk_tasks")
    unheard = await pool.fetch(
        """select 'undeliverable' as kind, visit_id from messages as text
        where kind = 'reminder' and state = 'suppressed' and reason like 'This phone has had as many texts%'
            and lead_minutes >= 1440 and not exists (
                select from messages as other where other.visit_id = text.visit_id and other.kind = 'reminder'
                    and other.variables ->> 'starts_at' = text.variables ->> 'starts_at'
                    and other.state in ('sent', 'delivered'))"""
    )
    assert sorted(map(tuple, called)) == sorted(map(tuple, unheard))


def describe(messages: Counter[Sent]) -> list[str]:
    return sorted(
        f"{at.astimezone(NEW_YORK):%a %m-%d %H:%M} {channel} {kind} {template} {visit}"
        for visit, kind, template, channel, at in messages
    )


def assert_nobody_was_disturbed(year: Year, sent: Counter[Sent], outside: Recorder) -> None:
    """No phone rang at night where it is, or after its owner said stop, or for more reminders than it may get."""
    people = {person.phone: person for person in year.people}
    said = {phone: [(datetime.min.replace(tzinfo=UTC), person.texts)] for phone, person in people.items()}
    for event in year.events:
        if event.what == "text_consent":
            said[event.person.phone].append((event.at, event.granted))
    for _, address, at in outside.sent:
        if address in people:
            assert time(9) <= at.astimezone(ZoneInfo(people[address].zone)).time() < time(20)
            assert [granted for when, granted in said[address] if when <= at][-1]
    owners = {event.visit: event.person for event in year.events if event.visit}
    reminded: Counter[tuple[str, date]] = Counter()
    for visit, kind, _, channel, at in sent:
        if (kind, channel) == ("reminder", "sms"):
            person = owners[visit]
            reminded[person.phone, at.astimezone(ZoneInfo(person.zone)).date()] += 1
            assert reminded[person.phone, at.astimezone(ZoneInfo(person.zone)).date()] <= 1 + person.frequent


async def assert_the_world_was_busy(pool: Pool, year: Year, sent: Counter[Sent], patients: int) -> None:
    """Everything that is to be tried happened often enough to mean something."""
    assert await pool.fetchval("select count(*) from visits") > patients * 4
    happened = Counter(event.what for event in year.events)
    assert min(happened[what] for what in ("move", "cancel", "confirm", "text_consent", "close")) >= 3, happened
    kinds = {(kind, template, channel) for _, kind, template, channel, _ in sent}
    assert kinds >= {
        ("reminder", "reminder_72h", "email"), ("reminder", "reminder_72h", "sms"),
        ("reminder", "reminder_24h", "sms"), ("reminder", "reminder_2h", "sms"),
        # In place of a text that was one too many.
        ("reminder", "reminder_24h", "email"),
        ("closure", "closure", "sms"), ("rescheduled", "rescheduled", "sms"),
    }  # fmt: skip
    assert len({person.zone for person in year.people}) == 4
    changes = [day for day in (date(2027, 3, 14), date(2027, 11, 7)) if wall(day, time(0)) > year.desk_times[0]]
    near = [at for *_, at in sent for day in changes if abs(at - wall(day, time(12))) < timedelta(days=2)]
    assert len(near) > 10
