"""Visits by the thousand, written by COPY as if they had been booked one by one."""

from collections.abc import Sequence
from datetime import UTC, timedelta

from asyncpg import Range

from benchmarks import workload
from benchmarks.people import Runner, add_runners, runners
from scheduler.domain.clinics import Clinic
from scheduler.ids import new_id
from scheduler.store.connections import Connection

# Somebody with a sore hip comes two or three times a week.
_VISITS_A_PATIENT = 10

_BOOKED_BEFORE = timedelta(days=30)


async def add_visits(connection: Connection, clinic: Clinic, booked: Sequence[workload.Booked]) -> None:
    """Write visits, each therapist's for patients of their own, who come in turn."""
    visits: list[tuple[object, ...]] = []
    occupancy: list[tuple[object, ...]] = []
    people: list[Runner] = runners(len(booked) // _VISITS_A_PATIENT + len(clinic.therapists))
    turns = len(people) // len(clinic.therapists)
    for index, one in enumerate(booked):
        visit_id, therapist = new_id(), clinic.therapists[workload.therapist_code(one.therapist)]
        patient = people[one.therapist * turns + index % turns]
        starts, ends = one.starts_at.astimezone(UTC), (one.starts_at + workload.DURATION).astimezone(UTC)
        made = starts - _BOOKED_BEFORE
        visits.append(
            (
                clinic.id, visit_id, "booked", 1, workload.VISIT_TYPE, therapist.id, patient.id, starts, ends,
                "key:front desk", made, made,
            )
        )  # fmt: skip
        resources = (therapist.id, patient.id)
        occupancy += [(clinic.id, resource, visit_id, "visit", Range(starts, ends)) for resource in resources]
    await add_runners(connection, clinic.id, people)
    await connection.copy_records_to_table(
        "visits",
        columns=[
            "clinic_id", "id", "status", "version", "visit_type", "therapist_id", "patient_id", "starts_at", "ends_at",
            "created_by", "created_at", "booked_at",
        ],
        records=visits,
    )  # fmt: skip
    await connection.copy_records_to_table(
        "occupancy", columns=["clinic_id", "resource_id", "visit_id", "kind", "during"], records=occupancy
    )
