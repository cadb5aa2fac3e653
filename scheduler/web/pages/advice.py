"""What each error means and what to do about it, for those who program against the API."""

# By code: what it means, and what to do now.
ADVICE: dict[str, tuple[str, str]] = {
    "malformed-request": (
        "The body is not JSON that can be read: a syntax error, a key given twice, a NUL, or too deep a nesting.",
        "Mend the body; the detail says where reading stopped. Sending the same again gives the same answer.",
    ),
    "unauthorized": (
        "The operation needs an API key, or the key that was sent is unknown, expired or revoked.",
        "Send Authorization: Bearer followed by the key. The operator makes keys with scheduler api-key create.",
    ),
    "forbidden": (
        "The key is valid but lacks the scope that the operation needs; the member scope names it.",
        "Ask the operator for a key with that scope.",
    ),
    "phone-unproven": (
        "This clinic texts patients a code before a booking is final, and only its own booking pages ask for it.",
        "Send the patient to the booking page, or a key of the clinic's own software.",
    ),
    "signature-invalid": (
        "Only Twilio calls this address, and it did not sign what came here.",
        "The operator checks that PUBLIC_BASE_URL is the address that Twilio calls, and TWILIO_AUTH_TOKEN its token.",
    ),
    "hold-not-found": (
        "There is no hold with this id, or the token is not the one that came with it. The two look alike on purpose.",
        "Hold a time again. The token is told once, in the answer that made the hold.",
    ),
    "link-expired": (
        "A visit's private link opens until the day after the visit. This one is too old, or never was one.",
        "Ask the clinic, whose telephone number the page shows.",
    ),
    "not-found": ("Nothing has this address or id at this clinic.", "Check the path and the id."),
    "method-not-allowed": (
        "The address exists, but not for this method.",
        "The header Allow lists the methods there are.",
    ),
    "hold-expired": (
        "The hold ran out and somebody else has the time now.",
        (
            "Offer the patient one of the alternatives and hold that. A hold that ran out is still booked while its "
            "time is free, and a hold can be extended ten times."
        ),
    ),
    "idempotency-in-flight": (
        "The first request with this Idempotency-Key has not been answered yet.",
        "Wait a second and send the same request again: it gets the first one's answer.",
    ),
    "not-bookable-online": (
        "The clinic books this visit type at its front desk only.",
        "Show the clinic's telephone number, or send a key of the front desk.",
    ),
    "not-qualified": (
        "This therapist does not perform the visit type, or lacks the credential that it needs.",
        "Choose from GET /api/v1/therapists?visit_type=, or name nobody: then anybody qualified is taken.",
    ),
    "outside-hours": (
        "Nobody who performs the visit type works then, or the time is between two starts of the clinic's grid.",
        "Take a start from GET /api/v1/slots, or one of the alternatives.",
    ),
    "patient-exists": (
        "The change would give two patients the same phone number and name. Nothing was changed.",
        "Look at the patient whose id is in the member patient_id: it is most likely the same person, on file twice.",
    ),
    "slot-taken": (
        "Somebody was faster. The member conflict says what is taken: therapist, room, equipment or patient.",
        "Offer one of the alternatives: up to five open slots, nearest first in time. Nothing was booked.",
    ),
    "too-far-ahead": (
        "The time lies beyond the visit type's booking horizon, which binds patients.",
        "Take a start from GET /api/v1/slots, or one of the alternatives.",
    ),
    "too-late-to-change": (
        "The visit starts too soon to be changed online; the member cutoff_at says until when it could be.",
        "Show the telephone number in the member phone. The front desk can still change it.",
    ),
    "too-soon": (
        "The time is closer than the visit type's minimum notice, which binds patients.",
        "Take one of the alternatives, or show the clinic's telephone number.",
    ),
    "wrong-status": (
        "The visit is in a status from which this cannot be done; the member visit_status names it.",
        "Read the visit again. The member allowed lists what can be done now.",
    ),
    "message-wrong-state": (
        "The message arrived, may still arrive, or was sent again already; the member state names how far it is.",
        "Read the message again. The member allowed lists the states in which this can be done.",
    ),
    "message-outdated": (
        "The visit was moved or cancelled since, is over, or the patient has no address of that kind any more.",
        "Send nothing: a change of the visit has planned its own messages. Call the patient if in doubt.",
    ),
    "webhook-paused": (
        "The webhook is paused, by hand or because its receiver answered 410, so nothing would be sent.",
        "Let it go on with PATCH /api/v1/webhooks/{webhook_id} and paused: false, then try again.",
    ),
    "version-mismatch": (
        "Somebody changed the visit after you read it. Nothing was changed by your request.",
        "Read the visit again, decide again, and send the new ETag in If-Match.",
    ),
    "body-too-slow": (
        "The body did not arrive whole in the time that there is for it. Nothing was changed.",
        "Send it again, at once and whole, with the same Idempotency-Key.",
    ),
    "body-too-large": ("The body is larger than any request here needs to be.", "Send less: 64 kB is the limit."),
    "unsupported-media-type": (
        "The body is not in the form that its Content-Type says, or in one that is not read here.",
        "Send JSON with Content-Type: application/json.",
    ),
    "idempotency-key-reused": (
        "This Idempotency-Key came with another request within the last day.",
        "Make a new key for every new intent; use an old one only to repeat the very same request.",
    ),
    "invalid-request": (
        "Some fields or parameters cannot be used. The member errors lists each with a pointer, a code and a detail.",
        "Mend the fields that the pointers name: a JSON pointer into the body, or ?name for a parameter.",
    ),
    "version-required": (
        "A change must say which version of the visit it is meant for, so that nobody's change is lost.",
        "Read the visit and send its ETag in If-Match. The member etag is the version as it now stands.",
    ),
    "patients-overlap": (
        "Two records of one patient cannot be made one while both have a visit at the same time.",
        "Move or cancel one of the visits first.",
    ),
    "sign-in-needed": (
        "A page of the front desk was asked for by somebody who is not signed in, or was away for too long.",
        "Sign in at /staff. Programs use the API with a key instead.",
    ),
    "sign-in-refused": (
        "The username, the password or the code from the phone did not fit; which of them is not told.",
        "Try again. Whoever runs the service can give another password (scheduler staff reset-password).",
    ),
    "password-change-needed": (
        "The password was made by somebody else, so it opens nothing but the page on which it is changed.",
        "Choose a password of your own at /staff/account.",
    ),
    "form-expired": (
        "The form was made for another session than the one that sent it. Nothing was changed.",
        "Open the page again and send its form.",
    ),
    "too-many-tries": (
        "Somebody tried to sign in with this name and failed too often.",
        "Wait as long as the header Retry-After says; every further failure doubles it, up to an hour.",
    ),
    "rate-limited": (
        "This client or this telephone number asked for more than one person needs in so short a time.",
        "Wait as long as the header Retry-After says. The clinic's own software sends a key and is not limited.",
    ),
    "internal-error": (
        "Something failed that we did not foresee. Nothing was changed.",
        "Try again later. Tell the operator the header X-Request-Id: the log has the same id.",
    ),
    "maintenance": (
        "The operator has stopped the service for a while, on purpose. Nothing was changed, and nothing is lost.",
        "Wait as long as the header Retry-After says and send the request again, with the same Idempotency-Key.",
    ),
    "too-busy": (
        "The database is away, full or busy for a moment. Nothing was changed.",
        "Wait as long as the header Retry-After says and send the request again, with the same Idempotency-Key.",
    ),
}
