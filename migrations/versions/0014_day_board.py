"""What the front desk's board needs: to hear of every change whichever path wrote it, and notes on visits."""

from scheduler.migrate import run_sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UP = """
-- A line or two for the desk, such as "bring the brace". It is of no medical kind: the page says so where it is typed.
create table visit_notes (
    clinic_id uuid not null,
    id uuid not null,
    visit_id uuid not null,
    text text not null check (char_length(text) between 1 and 200),
    created_by text not null,
    created_at timestamptz not null default now(),
    removed_by text,
    removed_at timestamptz,
    primary key (clinic_id, id),
    foreign key (clinic_id, visit_id) references visits (clinic_id, id) on delete cascade,
    check ((removed_by is null) = (removed_at is null))
);
create index visit_notes_by_visit on visit_notes (clinic_id, visit_id, id);

-- Open boards hear of a change from here, so that no path that writes can forget to tell them. What is said is which
-- clinic and which of its dates, or no date for all of them: nothing of a patient. What is said twice in one
-- transaction is sent once.
create function tell_boards(clinic uuid, day date) returns void language sql as $$
    select pg_notify('boards', clinic || ' ' || coalesce(day::text, ''))
$$;
create function tell_boards_of_visit(clinic uuid, starts timestamptz, ends timestamptz) returns void language sql as $$
    select tell_boards(clinic, (starts at time zone timezone)::date) from clinics where id = clinic
    union all
    -- What ends after midnight is on the next date as well.
    select tell_boards(clinic, (ends at time zone timezone)::date) from clinics
    where id = clinic and (ends at time zone timezone)::date <> (starts at time zone timezone)::date
$$;

create function visit_changed() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform tell_boards_of_visit(old.clinic_id, old.starts_at, old.ends_at);
    end if;
    if tg_op = 'INSERT' or (tg_op = 'UPDATE' and (old.starts_at, old.ends_at) <> (new.starts_at, new.ends_at)) then
        perform tell_boards_of_visit(new.clinic_id, new.starts_at, new.ends_at);
    end if;
    return null;
end $$;
create trigger visits_tell_boards after insert or delete on visits for each row execute function visit_changed();
-- Of a hold that runs out only the status changes; a link or a key on a row is nothing that a board shows.
create trigger visits_tell_boards_of_change after update on visits for each row
    when ((old.status, old.version, old.starts_at, old.ends_at, old.therapist_id, old.hold_extensions)
          is distinct from (new.status, new.version, new.starts_at, new.ends_at, new.therapist_id, new.hold_extensions))
    execute function visit_changed();

create function part_of_visit_changed() returns trigger language plpgsql as $$
begin
    perform tell_boards_of_visit(clinic_id, starts_at, ends_at) from visits
    where clinic_id = new.clinic_id and id = new.visit_id;
    return null;
end $$;
create trigger visit_notes_tell_boards after insert or update on visit_notes
    for each row execute function part_of_visit_changed();
-- A message that waits or is on its way out is not shown; what became of it is.
create trigger messages_tell_boards after update on messages for each row
    when (new.visit_id is not null and new.state in ('sent', 'delivered', 'undelivered', 'failed', 'unknown', 'dead')
          and (old.state, old.handled_at) is distinct from (new.state, new.handled_at))
    execute function part_of_visit_changed();

create function date_changed() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then perform tell_boards(old.clinic_id, old.date); end if;
    if tg_op <> 'DELETE' then perform tell_boards(new.clinic_id, new.date); end if;
    return null;
end $$;
create trigger overrides_tell_boards after insert or update or delete on overrides
    for each row execute function date_changed();
create trigger closures_tell_boards after insert or update or delete on closures
    for each row execute function date_changed();

-- These are of many dates, and seldom change.
create function any_date_changed() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then perform tell_boards(old.clinic_id, null); end if;
    if tg_op <> 'DELETE' then perform tell_boards(new.clinic_id, null); end if;
    return null;
end $$;
create trigger time_off_tell_boards after insert or update or delete on time_off
    for each row execute function any_date_changed();
create trigger working_windows_tell_boards after insert or update or delete on working_windows
    for each row execute function any_date_changed();
create trigger therapists_tell_boards after insert or update or delete on therapists
    for each row execute function any_date_changed();
create trigger patients_tell_boards after update on patients for each row
    when ((old.given_name, old.family_name, old.phone) is distinct from (new.given_name, new.family_name, new.phone))
    execute function any_date_changed();
create trigger consents_tell_boards after insert on consents for each row
    when (new.channel = 'sms' and not new.granted) execute function any_date_changed();
"""

DOWN = """
drop trigger consents_tell_boards on consents;
drop trigger patients_tell_boards on patients;
drop trigger therapists_tell_boards on therapists;
drop trigger working_windows_tell_boards on working_windows;
drop trigger time_off_tell_boards on time_off;
drop trigger closures_tell_boards on closures;
drop trigger overrides_tell_boards on overrides;
drop trigger messages_tell_boards on messages;
drop trigger visits_tell_boards_of_change on visits;
drop trigger visits_tell_boards on visits;
drop table visit_notes;
drop function any_date_changed(), date_changed(), part_of_visit_changed(), visit_changed(),
    tell_boards_of_visit(uuid, timestamptz, timestamptz), tell_boards(uuid, date);
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
