"""The clinic file and the database: what applying changes, and what it must leave alone."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from scheduler.domain.calendars import WeeklyWindow
from scheduler.domain.clinic_changes import Change, describe
from scheduler.domain.clinic_files import ClinicFile, parse
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.services.clinic_files import apply_files, read_files
from scheduler.store.clinics import load_clinics
from scheduler.store.connections import Connection, Pool
from scheduler.store.locks import lock_clinic

SHIPPED = Path(__file__).parents[2] / "config" / "clinic.toml"
TEXT = SHIPPED.read_text(encoding="utf-8")

TABLES = (
    "clinics",
    "visit_types",
    "therapists",
    "therapist_visit_types",
    "working_windows",
    "overrides",
    "closures",
    "rooms",
    "equipment",
    "audit_events",
)


def shipped(*replacements: tuple[str, str]) -> ClinicFile:
    """Return the shipped clinic with pieces of its file replaced, each of which must be there."""
    text = TEXT
    for old, new in replacements:
        assert old in text, f"{old} is not in the file"
        text = text.replace(old, new)
    return parse(text, "config/clinic.toml")


def without(*headers: str) -> ClinicFile:
    """Return the shipped clinic without some of its tables, named by their headers, and without mention of them."""
    blocks = TEXT.split("\n\n")
    kept = [block for block in blocks if not any(f"\n[{header}]\n" in f"\n{block}" for header in headers)]
    assert len(kept) == len(blocks) - len(headers)
    text = "\n\n".join(kept)
    for header in headers:
        text = text.replace(f', "{header.partition(".")[2]}"', "")
    return parse(text, "config/clinic.toml")


async def apply(pool: Pool, *files: ClinicFile, dry_run: bool = False) -> list[Change]:
    async with pool.acquire() as connection, connection.transaction():
        return await apply_files(connection, files, dry_run=dry_run)


async def load(pool: Pool) -> list[Clinic]:
    async with pool.acquire() as connection:
        return await load_clinics(connection)


async def rows_and_versions(connection: Connection) -> dict[str, list[str]]:
    """Return every row together with the transaction that wrote it and the place it lies at."""
    return {
        table: [row[0] for row in await connection.fetch(f"select xmin || ' ' || ctid || ' ' || {table} from {table}")]
        for table in TABLES
    }


def sentences(changes: Sequence[Change], kind: str | None = None) -> list[str]:
    return [str(change) for change in changes if kind is None or change.kind == kind]


async def test_the_shipped_file_becomes_the_clinic_without_a_warning(pool: Pool) -> None:
    (file,) = read_files(SHIPPED)
    assert file.warnings == ()
    changes = await apply(pool, file)
    assert describe(changes) == [
        "fair-lawn",
        "  + clinic fair-lawn: added with 6 visit types, 4 therapists, 6 rooms, 1 device, 10 closures",
        "1 change made.",
    ]
    assert "therapist rivera: hours on Monday 08:00-12:00 added" in sentences(changes, "added")
    (clinic,) = await load(pool)
    assert (clinic.code, clinic.timezone, clinic.settings) == ("fair-lawn", "America/New_York", file.settings)
    assert tuple(clinic.visit_types.values()) == file.visit_types
    assert [(each.code, each.visit_types) for each in clinic.therapists.values()] == [
        (entry.code, frozenset(entry.performs)) for entry in file.therapists
    ]
    assert [(each.code, each.display_name, each.kind) for each in clinic.rooms.values()] == [
        (entry.code, entry.display_name, entry.kind) for entry in file.rooms
    ]
    assert list(clinic.equipment) == ["treadmill-1"]
    async with pool.acquire() as connection:
        windows = await connection.fetch(
            """select code, weekday, starts_minute, ends_minute, valid_from, valid_until
            from working_windows join therapists on therapist_id = therapists.id"""
        )
        closures = await connection.fetch("select date, windows from closures")
    assert {(code, WeeklyWindow(*rest)) for code, *rest in windows} == {
        (entry.code, window) for entry in file.therapists for window in entry.weekly
    }
    assert {day: tuple((each.lower, each.upper) for each in windows) for day, windows in closures} == {
        plan.day: plan.windows for plan in file.closures
    }


async def test_loading_the_clinics_takes_one_round_trip(pool: Pool) -> None:
    await apply(pool, shipped())
    asked: list[str] = []
    async with pool.acquire() as connection:
        with connection.query_logger(lambda query: asked.append(query.query)):
            await load_clinics(connection)
    assert len(asked) == 1


async def test_applying_again_writes_nothing_at_all(pool: Pool) -> None:
    await apply(pool, shipped())
    async with pool.acquire() as connection:
        before = await rows_and_versions(connection)
        async with connection.transaction():
            writes = "select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_xact_user_tables"
            so_far = await connection.fetchval(writes)
            assert await apply_files(connection, [shipped()]) == []
            assert await connection.fetchval(writes) == so_far
        assert await rows_and_versions(connection) == before
    assert describe([]) == ["Nothing to change."]


async def test_a_dry_run_tells_exactly_what_applying_does_and_changes_nothing(pool: Pool) -> None:
    await apply(pool, shipped())
    edited = shipped(("duration_minutes = 60", "duration_minutes = 75"), ('from = "12:45"', 'from = "13:00"'))
    async with pool.acquire() as connection:
        before = await rows_and_versions(connection)
        rehearsed = await apply(pool, edited, dry_run=True)
        assert await rows_and_versions(connection) == before
    assert describe(rehearsed, dry_run=True)[-1] == f"{len(rehearsed)} changes to make; nothing was changed."
    assert rehearsed
    assert await apply(pool, edited) == rehearsed
    assert await apply(pool, edited) == []


async def test_a_dry_run_of_a_new_clinic_leaves_no_clinic(pool: Pool) -> None:
    assert await apply(pool, shipped(), dry_run=True)
    assert await load(pool) == []


async def test_every_edit_is_told_in_a_sentence_and_done(pool: Pool) -> None:
    await apply(pool, shipped())
    overnight = '"saturday"], from = "22:00", to = "06:00", ends_next_day = true, valid_from = 2027-01-01 },'
    edited = shipped(
        ("grid_minutes = 15 ", "grid_minutes = 30 "),
        ("100 Sample Plaza", "200 Sample Plaza"),
        ('"Follow-up visit"', '"Follow-up"'),
        ('credential = "PTA"\nlanguages', 'credential = "PT"\nlanguages'),
        ('performs = ["follow-up", "gait"]', 'performs = ["follow-up"]'),
        (
            '"saturday"], from = "08:00", to = "13:00" },\n]\n\n[therapists.lind]',
            f"{overnight}\n]\n\n[therapists.lind]",
        ),
        ('date = 2026-12-23, reason = "Away"', 'date = 2026-12-22, reason = "Away"'),
        ('windows = [{ from = "07:00", to = "13:00" }]', 'windows = [{ from = "07:00", to = "12:00" }]'),
        ("date = 2027-12-24", "date = 2027-12-23"),
    )
    assert sorted(sentences(await apply(pool, edited))) == [
        "clinic fair-lawn: address changed",
        "clinic fair-lawn: closure on 2026-12-24 (07:00-12:00) changed",
        "clinic fair-lawn: closure on 2027-12-23 (all day off) added",
        "clinic fair-lawn: closure on 2027-12-24 (all day off) removed",
        "clinic fair-lawn: grid_minutes changed from 15 to 30",
        "therapist lind: override on 2026-12-22 (all day off) added",
        "therapist lind: override on 2026-12-23 (all day off) removed",
        "therapist marsh: credential changed from PTA to PT",
        "therapist marsh: visit type gait removed",
        "therapist okafor: hours on Saturday 08:00-13:00 removed",
        "therapist okafor: hours on Saturday 22:00-06:00 next day from 2027-01-01 added",
        "visit type follow-up: names changed",
    ]
    (clinic,) = await load(pool)
    assert (clinic.settings.grid_minutes, clinic.settings.address[:3]) == (30, "200")
    assert clinic.therapists["marsh"].credential == "PT"
    assert clinic.therapists["marsh"].visit_types == {"follow-up"}
    assert await apply(pool, edited) == []


async def test_what_the_front_desk_set_survives_and_is_reported(pool: Pool) -> None:
    await apply(pool, shipped())
    async with pool.acquire() as connection:
        await connection.execute(
            """update therapists set hours_set_by = 'desk' where code = 'rivera';
            update working_windows set ends_minute = 600 where weekday = 5 and ends_minute = 780;
            update overrides set windows = '{[540,600)}', set_by = 'desk' where date = '2026-12-12';
            update closures set windows = '{[600,660)}', set_by = 'desk' where date = '2026-12-24';
            update closures set removed = true, set_by = 'desk' where date = '2026-12-25';
            update closures set removed = true where date = '2027-01-01';
            insert into closures select clinic_id, '2027-02-02', '{}', 'Snow', 'desk', false from closures limit 1"""
        )
        before = await rows_and_versions(connection)
    edited = shipped(('from = "08:00", to = "12:00"', 'from = "08:15", to = "12:00"'))
    changes = await apply(pool, edited)
    assert sentences(changes, "kept") == [
        "therapist rivera: weekly hours stay as the front desk set them",
        "therapist lind: override on 2026-12-12 stays as the front desk left it",
        "clinic fair-lawn: closure on 2026-12-24 stays as the front desk left it",
        "clinic fair-lawn: closure on 2026-12-25 stays as the front desk left it",
        "clinic fair-lawn: closure on 2027-01-01 stays as the front desk left it",
    ]
    made = sentences([change for change in changes if change.kind != "kept"])
    assert made
    assert all(sentence.startswith("therapist marsh: hours on ") for sentence in made)
    async with pool.acquire() as connection:
        after = await rows_and_versions(connection)
        rivera = await connection.fetchval("select id from therapists where code = 'rivera'")
    assert {table: rows for table, rows in after.items() if table in ("closures", "overrides", "therapists")} == {
        table: rows for table, rows in before.items() if table in ("closures", "overrides", "therapists")
    }
    assert [row for row in after["working_windows"] if str(rivera) in row] == [
        row for row in before["working_windows"] if str(rivera) in row
    ]
    again = await apply(pool, edited)
    assert sentences(again) == sentences(changes, "kept")
    assert describe(again)[-1] == "Nothing to change."


async def test_what_leaves_the_file_is_retired_and_comes_back_as_itself(pool: Pool) -> None:
    await apply(pool, shipped())
    (before,) = await load(pool)
    visit_id = await _book(pool, before)
    changes = await apply(pool, without("therapists.marsh", "visit_types.re-eval"))
    retired = "no longer in the file, so no longer offered; its visits stay"
    assert {f"therapist marsh: {retired}", f"visit type re-eval: {retired}"} <= set(sentences(changes, "removed"))
    (without_them,) = await load(pool)
    assert "marsh" not in without_them.therapists
    assert "re-eval" not in without_them.visit_types
    async with pool.acquire() as connection:
        therapist_id = await connection.fetchval("select therapist_id from visits where id = $1", visit_id)
    assert therapist_id == before.therapists["marsh"].id
    changes = await apply(pool, shipped())
    assert "therapist marsh: back in the file, so offered again" in sentences(changes, "added")
    assert await load(pool) == [before]


async def test_a_folder_holds_several_clinics_that_stay_apart(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(TEXT, encoding="utf-8")
    other = TEXT.replace('code = "fair-lawn"', 'code = "wayne"').replace("America/New_York", "America/Chicago")
    (tmp_path / "a.toml").write_text(other, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a clinic", encoding="utf-8")
    files = read_files(tmp_path)
    await apply(pool, *files)
    first, second = await load(pool)
    assert [(first.code, first.timezone), (second.code, second.timezone)] == [
        ("wayne", "America/Chicago"),
        ("fair-lawn", "America/New_York"),
    ]
    assert list(first.therapists) == list(second.therapists)
    assert not {each.id for each in first.therapists.values()} & {each.id for each in second.therapists.values()}
    assert await apply(pool, *files) == []
    changes = await apply(pool, files[0])
    assert sentences(changes) == ["clinic fair-lawn: no file speaks of it, so it stays as it is"]
    assert len(await load(pool)) == 2


async def test_an_apply_leaves_one_trace_for_each_clinic_that_it_changed(pool: Pool) -> None:
    await apply(pool, shipped())
    await apply(pool, shipped())
    await apply(pool, shipped(("hold_minutes = 10 ", "hold_minutes = 12 ")))
    async with pool.acquire() as connection:
        traces = await connection.fetch("select actor, action, details from audit_events order by id")
    assert [(trace["actor"], trace["action"]) for trace in traces] == [("system", "clinic.applied")] * 2
    assert traces[1]["details"] == {"changes": ["clinic fair-lawn: hold_minutes changed from 10 to 12"]}
    assert "Rivera" not in str(traces)


async def test_two_first_applies_at_once_make_one_clinic(pool: Pool) -> None:
    one, other = await asyncio.gather(apply(pool, shipped()), apply(pool, shipped()))
    assert (one == []) != (other == [])
    assert len(await load(pool)) == 1


async def test_applying_waits_for_a_booking_that_holds_the_clinics_hours_still(pool: Pool) -> None:
    await apply(pool, shipped())
    (clinic,) = await load(pool)
    async with pool.acquire() as connection:
        async with connection.transaction():
            await lock_clinic(connection, clinic.id, exclusive=False)
            applying = asyncio.create_task(apply(pool, without("therapists.marsh")))
            await asyncio.sleep(0.2)
            assert not applying.done()
        assert await applying


async def _book(pool: Pool, clinic: Clinic) -> UUID:
    """Insert a held visit with the therapist who is to leave, and return its id."""
    visit_id = new_id()
    async with pool.acquire() as connection:
        await connection.execute(
            """insert into visits (clinic_id, id, status, visit_type, therapist_id, starts_at, ends_at, created_by)
            values ($1, $2, 'held', 're-eval', $3, $4, $5, 'test')""",
            clinic.id,
            visit_id,
            clinic.therapists["marsh"].id,
            datetime(2027, 1, 4, 15, tzinfo=UTC),
            datetime(2027, 1, 4, 16, tzinfo=UTC),
        )
    return visit_id
