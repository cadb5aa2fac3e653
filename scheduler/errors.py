"""Every refusal this service can give, as a table and the exception that carries one.

A code is stable: callers program against it, pages translate it, tests name it. The title is for people. What a
caller can act on travels as members, never inside the text.
"""

from typing import Any, ClassVar


class SchedulerError(Exception):
    """Something was refused for a reason the caller can read and act on.

    ``members`` are added to the problem body as they are; they hold nothing that the caller may not see.
    """

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.members = members


class ConfigurationError(Exception):
    """A setting or a file of the clinic is wrong; the message is one sentence that names it."""


class InvalidRequest(SchedulerError):
    """The body or a parameter does not say what it must; ``errors`` lists a pointer, a code and a detail each."""

    code = "invalid-request"
    status = 422
    title = "Some of what was sent cannot be used"

    def __init__(self, *errors: "FieldError") -> None:
        super().__init__(
            "; ".join(f"{error.pointer}: {error.detail}" for error in errors),
            errors=[{"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in errors],
        )


class FieldError:
    """One thing wrong with one field, named by a JSON pointer into the body or ``?name`` for the query."""

    __slots__ = ("code", "detail", "pointer")

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        self.pointer = pointer
        self.code = code
        self.detail = detail


class MalformedRequest(SchedulerError):
    code = "malformed-request"
    status = 400
    title = "The request could not be read"


class MethodNotAllowed(SchedulerError):
    code = "method-not-allowed"
    status = 405
    title = "That cannot be done here"


class BodyTooSlow(SchedulerError):
    code = "body-too-slow"
    status = 408
    title = "The body took too long to arrive"


class BodyTooLarge(SchedulerError):
    code = "body-too-large"
    status = 413
    title = "The body is too large"


class UnsupportedMediaType(SchedulerError):
    code = "unsupported-media-type"
    status = 415
    title = "The body is in a form we do not read"


class Unauthorized(SchedulerError):
    code = "unauthorized"
    status = 401
    title = "A valid API key is needed"


class Forbidden(SchedulerError):
    code = "forbidden"
    status = 403
    title = "This API key may not do that"


class SignInNeeded(SchedulerError):
    """A page of the clinic's staff, asked for by somebody who is not signed in or was for too long."""

    code = "sign-in-needed"
    status = 401
    title = "Sign in first"


class SignInRefused(SchedulerError):
    """What was wrong is not told: it would help those who guess."""

    code = "sign-in-refused"
    status = 401
    title = "That did not fit"


class PasswordChangeNeeded(SchedulerError):
    code = "password-change-needed"
    status = 403
    title = "Choose a password of your own first"


class FormExpired(SchedulerError):
    """A form of the staff's pages that this session did not make."""

    code = "form-expired"
    status = 403
    title = "This form is no longer good"


class PhoneUnproven(SchedulerError):
    """The clinic wants a code typed in that was texted to the patient, which only its own pages ask for."""

    code = "phone-unproven"
    status = 403
    title = "The phone number has not been proven"


class SignatureInvalid(SchedulerError):
    """A callback that the provider did not sign, or not as it came here."""

    code = "signature-invalid"
    status = 403
    title = "The signature does not fit the request"


class NotFound(SchedulerError):
    code = "not-found"
    status = 404
    title = "There is nothing here"


class LinkExpired(SchedulerError):
    """A private link that is unknown, revoked, of another clinic or too old: which of these is not told."""

    code = "link-expired"
    status = 404
    title = "This link has expired"


class HoldNotFound(SchedulerError):
    code = "hold-not-found"
    status = 404
    title = "There is no such hold"


class PlacementRefused(SchedulerError):
    """The wish for a visit type at a start cannot be met; carries ``alternatives`` once they are known."""

    status = 409


class SlotTaken(PlacementRefused):
    code = "slot-taken"
    title = "That time was just taken"


class OutsideHours(PlacementRefused):
    code = "outside-hours"
    title = "Nobody works at that time"


class TooSoon(PlacementRefused):
    code = "too-soon"
    title = "That time is too soon to book online"


class TooFarAhead(PlacementRefused):
    code = "too-far-ahead"
    title = "That time is too far ahead"


class NotBookableOnline(PlacementRefused):
    code = "not-bookable-online"
    title = "This visit cannot be booked online"


class NotQualified(PlacementRefused):
    code = "not-qualified"
    title = "This therapist does not perform that visit"


class HoldExpired(PlacementRefused):
    code = "hold-expired"
    title = "The time was held too long ago and is taken now"


class WrongStatus(SchedulerError):
    code = "wrong-status"
    status = 409
    title = "The visit is past that"


class MessageWrongState(SchedulerError):
    """``state`` says what the message is now, ``allowed`` in which states this could be done."""

    code = "message-wrong-state"
    status = 409
    title = "The message is in a state in which this cannot be done"


class MessageOutdated(SchedulerError):
    code = "message-outdated"
    status = 409
    title = "What the message says is no longer so"


class PatientExists(SchedulerError):
    """Another patient has this phone and name; the member ``patient_id`` says which."""

    code = "patient-exists"
    status = 409
    title = "Another patient on file has this name and phone number"


class PatientsOverlap(SchedulerError):
    """Two records are to be one, and both have visits at one time, whose ids the member ``visits`` has."""

    code = "patients-overlap"
    status = 409
    title = "Both patients have a visit at the same time"


class WebhookPaused(SchedulerError):
    code = "webhook-paused"
    status = 409
    title = "The webhook is paused"


class TooLateToChange(SchedulerError):
    code = "too-late-to-change"
    status = 409
    title = "It is too late to change this visit online"


class VersionMismatch(SchedulerError):
    """The visit stands at another version than the one that was seen; ``etag`` says at which."""

    code = "version-mismatch"
    status = 412
    title = "The visit was changed meanwhile"


class VersionRequired(SchedulerError):
    """Nothing was said about which version was seen; ``etag`` says at which the visit stands."""

    code = "version-required"
    status = 428
    title = "Say which version of the visit you saw, with If-Match"


class IdempotencyKeyReused(SchedulerError):
    code = "idempotency-key-reused"
    status = 422
    title = "This Idempotency-Key was used for another request"


class IdempotencyInFlight(SchedulerError):
    code = "idempotency-in-flight"
    status = 409
    title = "The first request with this Idempotency-Key is still running"


class RateLimited(SchedulerError):
    """Too much was asked for in too short a time; ``retry_after_seconds`` says when it will be answered again."""

    code = "rate-limited"
    status = 429
    title = "Too many requests; wait a moment"

    def __init__(self, detail: str = "", *, retry_after_seconds: int, **members: Any) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds, **members)


class TooManyTries(RateLimited):
    code = "too-many-tries"
    title = "Too many tries; wait a while"


class TooBusy(SchedulerError):
    code = "too-busy"
    status = 503
    title = "We are too busy for a moment; try again shortly"


class UnderMaintenance(TooBusy):
    """The service was stopped on purpose; ``scheduler maintenance`` answers in its place."""

    code = "maintenance"
    title = "The service is stopped for maintenance"
