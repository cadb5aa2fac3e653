"""Two records of one patient become one; and the audit is found by who acted."""

from scheduler.migrate import run_sql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

UP = """
-- The record that a patient's other one became part of. The row stays, because consents and traces speak of it, and
-- because its name and phone lead to the patient: whoever books with them is the same person.
alter table patients
    add column merged_into uuid,
    add constraint patients_merged_into_fkey foreign key (clinic_id, merged_into) references patients (clinic_id, id),
    add constraint patients_not_merged_into_themselves check (merged_into <> id);
create index patients_merged on patients (clinic_id, merged_into) where merged_into is not null;

-- A booking that had looked the patient up before they were merged is refused, and tries again with the one they are.
create function refuse_merged_patient() returns trigger language plpgsql as $$
begin
    if exists (select from patients where clinic_id = new.clinic_id and id = new.patient_id
               and merged_into is not null) then
        raise exception 'the patient was merged into another' using errcode = 'serialization_failure';
    end if;
    return new;
end $$;
create trigger visits_of_merged_patients before insert or update of patient_id on visits for each row
    when (new.patient_id is not null) execute function refuse_merged_patient();

-- Boards show whose visit it is, which is somebody else's name now.
drop trigger patients_tell_boards on patients;
create trigger patients_tell_boards after update on patients for each row
    when ((old.given_name, old.family_name, old.phone, old.merged_into)
          is distinct from (new.given_name, new.family_name, new.phone, new.merged_into))
    execute function any_date_changed();

create index audit_events_by_actor on audit_events (clinic_id, actor, id);
create index messages_without_visit on messages (clinic_id, patient_id) where visit_id is null;
create index inbound_messages_by_patient on inbound_messages (clinic_id, patient_id) where patient_id is not null;
create index inbound_messages_by_sender on inbound_messages (clinic_id, sender) where patient_id is null;
"""

DOWN = """
drop index inbound_messages_by_sender, inbound_messages_by_patient, messages_without_visit, audit_events_by_actor;
drop trigger patients_tell_boards on patients;
create trigger patients_tell_boards after update on patients for each row
    when ((old.given_name, old.family_name, old.phone) is distinct from (new.given_name, new.family_name, new.phone))
    execute function any_date_changed();
drop trigger visits_of_merged_patients on visits;
drop function refuse_merged_patient();
drop index patients_merged;
alter table patients drop column merged_into;
"""


def upgrade() -> None:
    run_sql(UP)


def downgrade() -> None:
    run_sql(DOWN)
