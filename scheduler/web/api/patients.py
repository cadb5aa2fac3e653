"""Patients: found, kept, and shown with all that is held about them."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from scheduler.domain.patients import read_search
from scheduler.errors import PatientExists
from scheduler.services import patients as services
from scheduler.services.patient_exports import export_patient
from scheduler.services.patients import Agreement
from scheduler.services.visit_records import list_visits
from scheduler.store.connections import Connection
from scheduler.web.api.patient_bodies import (
    ConsentAnswer,
    ConsentsAnswer,
    PatientChangeBody,
    PatientConsentBody,
    PatientFound,
    PatientPage,
    PatientRecord,
    consent_answer,
    patient_found,
    patient_record,
    read_change,
)
from scheduler.web.api.patient_exports import PatientExportAnswer, export_answer
from scheduler.web.api.visit_bodies import VisitPage, visit_answer
from scheduler.web.api.visit_links import with_links
from scheduler.web.callers import FromCaller, FromNow
from scheduler.web.cursors import read_cursor, write_cursor
from scheduler.web.idempotency import FromPosting, answer_once
from scheduler.web.problem_docs import PROBLEMS
from scheduler.web.reading import PatientBody, Problems, read_patient, read_uuid

# A transaction for reads as well: that somebody looked is written down with them.
FromConnection = NamedDependency[Connection]

Wanted = Annotated[
    str,
    QueryParameter(description="How a family or given name begins, or both in either order; or how a phone ends"),
]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]

_ON_FILE = ResponseSpec(PatientFound, description="They were on file already", generate_examples=False)


class PatientController(Controller):
    """For the front desk's keys. Everybody who looks at a patient leaves a row in the audit."""

    path = "/api/v1/patients"
    tags = ["Patients"]  # noqa: RUF012 - Litestar reads it from the class

    @post(operation_id="addPatient", summary="Add a patient, or find them by phone and name",
          responses=PROBLEMS(403, 422) | {200: _ON_FILE})  # fmt: skip
    async def create(self, posting: FromPosting, data: JSONBody[PatientBody]) -> Response[PatientFound]:
        """Answer 201 for somebody new. Where this phone and name are on file, answer 200 with that patient.

        An email, a date of birth or a language that was sent replaces what was known about them.
        """
        connection, caller, now = posting.connection, posting.caller, posting.now
        caller.require("patients:write")

        async def produce() -> Response[PatientFound]:
            problems = Problems()
            details = read_patient(data, "", problems, caller.clinic, now)
            problems.settle()
            said = data.sms_consent
            agreement = said and Agreement(
                channel="sms", granted=said.granted, wording_version=said.wording_version, method="api"
            )
            patient, created = await services.add_patient(
                connection, caller.clinic, details, agreement, actor=caller.actor, now=now
            )
            return Response(
                patient_found(patient, created=created),
                status_code=201 if created else 200,
                headers={"Location": f"/api/v1/patients/{patient.id}"},
            )

        return await answer_once(posting, produce)

    @get(operation_id="findPatients", summary="Patients by name or phone", responses=PROBLEMS(403, 422))
    async def index(
        self,
        connection: FromConnection,
        caller: FromCaller,
        q: Wanted,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> PatientPage:
        """Find patients by how their names begin, or by the last four or more digits of their phone."""
        caller.require("patients:read")
        problems = Problems()
        wanted = read_search(q, "?q", problems)
        after_id = read_uuid(cursor, "?cursor", problems) if cursor is not None else None
        problems.settle()
        found, more = await services.search_patients(
            connection, caller.clinic, wanted, after_id=after_id, limit=limit, actor=caller.actor
        )
        return PatientPage(
            items=[patient_record(patient) for patient in found], next_cursor=str(found[-1].id) if more else None
        )

    @get("/{patient_id:uuid}", operation_id="getPatient", summary="A patient", responses=PROBLEMS(403, 404))
    async def show(self, connection: FromConnection, caller: FromCaller, patient_id: FromPath[UUID]) -> PatientRecord:
        """Read what is known about a patient, and what they last said about messages."""
        caller.require("patients:read")
        patient = await services.read_patient(
            connection, caller.clinic, patient_id, action="patient.read", actor=caller.actor
        )
        return patient_record(patient)

    @patch("/{patient_id:uuid}", operation_id="changePatient", summary="Change what is known about a patient",
           responses=PROBLEMS(403, 404, PatientExists, 422))  # fmt: skip
    async def change(
        self,
        connection: FromConnection,
        caller: FromCaller,
        now: FromNow,
        patient_id: FromPath[UUID],
        data: JSONBody[PatientChangeBody],
    ) -> PatientRecord:
        """Messages that are still planned follow to the new phone or email, and change their language.

        Consent is for an address: with a new phone nothing has been agreed to, and no text goes there until it is.
        The answer is the whole record, so a request that changes nothing counts in the audit as a reading of it.
        """
        caller.require("patients:write")
        change = read_change(data, caller.clinic, now)
        patient = await services.change_and_read_patient(
            connection, caller.clinic, patient_id, change, actor=caller.actor, now=now
        )
        return patient_record(patient)

    @get("/{patient_id:uuid}/visits", operation_id="listPatientVisits", summary="A patient's visits, newest last",
         responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def visits(
        self,
        connection: FromConnection,
        caller: FromCaller,
        state: State,
        patient_id: FromPath[UUID],
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> VisitPage:
        """List a patient's visits in order of start, those to come last."""
        caller.require("patients:read", "visits:read")
        clinic, problems = caller.clinic, Problems()
        after = read_cursor(cursor, problems) if cursor is not None else None
        problems.settle()
        await services.read_patient(connection, clinic, patient_id, action="patient.visits_listed", actor=caller.actor)
        found, more = await list_visits(
            connection, clinic, starts_from=None, starts_before=None, therapist_id=None, patient_id=patient_id,
            status=None, after=after, limit=limit,
        )  # fmt: skip
        return VisitPage(
            items=await with_links(connection, caller, [visit_answer(clinic, one) for one in found], state.settings),
            next_cursor=write_cursor(found[-1].visit.starts_at, found[-1].visit.id) if more else None,
        )

    @post("/{patient_id:uuid}/consents", operation_id="addConsent", summary="Record what a patient said about messages",
          responses=PROBLEMS(403, 404, 422))  # fmt: skip
    async def consent(
        self, posting: FromPosting, patient_id: FromPath[UUID], data: JSONBody[PatientConsentBody]
    ) -> Response[ConsentAnswer]:
        """Nothing that was said before is changed: the last word counts, for the phone or email on file now."""
        caller = posting.caller
        caller.require("patients:write")

        async def produce() -> Response[ConsentAnswer]:
            agreement = Agreement(
                channel=data.channel, scope=data.scope, granted=data.granted, wording_version=data.wording_version,
                method=data.method,
            )  # fmt: skip
            consent = await services.record_consent(
                posting.connection, caller.clinic, patient_id, agreement, actor=caller.actor, now=posting.now
            )
            return Response(consent_answer(caller.clinic, consent), status_code=201)

        return await answer_once(posting, produce)

    @get("/{patient_id:uuid}/consents", operation_id="listConsents", summary="What a patient said about messages",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def consents(
        self, connection: FromConnection, caller: FromCaller, patient_id: FromPath[UUID]
    ) -> ConsentsAnswer:
        """Who wrote it down, when and how it was said, in which words, and for which address: the proof, whole."""
        caller.require("patients:read")
        said = await services.read_consents(connection, caller.clinic, patient_id, actor=caller.actor)
        return ConsentsAnswer(items=[consent_answer(caller.clinic, consent) for consent in said])

    @get("/{patient_id:uuid}/export", operation_id="exportPatient", summary="Everything held about a patient",
         responses=PROBLEMS(403, 404))  # fmt: skip
    async def export(
        self, connection: FromConnection, caller: FromCaller, now: FromNow, patient_id: FromPath[UUID]
    ) -> Response[PatientExportAnswer]:
        """Collect everything held about a patient: their record, consents, visits, messages, and who read it."""
        caller.require("patients:read")
        export = await export_patient(connection, caller.clinic, patient_id, actor=caller.actor)
        return Response(
            export_answer(caller.clinic, export, now),
            headers={"Content-Disposition": f'attachment; filename="patient-{patient_id}.json"'},
        )
