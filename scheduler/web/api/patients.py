"""Patients: found, kept, and shown with all that is held about them."""

from litestar import Controller


class PatientController(Controller):
    """For the front desk's keys."""

    path = "/api/v1/patients"
    tags = ["Patients"]  # noqa: RUF012 - Litestar reads it from the class
