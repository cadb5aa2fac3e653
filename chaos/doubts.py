"""What became of that on which somebody gave up in doubt, as it is written down where its effect is.

Whoever asks under a key would be told in the end: the answer is stored in the transaction of its effect. So who gave up
is taken for told where there is such an answer, and for refused where there is none, and is judged like everybody
else: what the answer says must be there, and without one nothing may be.
"""

import json
from typing import Any

from chaos.journal import Ask
from chaos.records import Records

# What changes anything. Whatever else is asked leaves no doubt behind.
CHANGES = frozenset({
    "hold", "extend", "release", "book", "reschedule", "confirm", "cancel", "arrive", "complete", "undo",
    "time-off", "time-on", "text",
})  # fmt: skip


def settle(records: Records) -> None:
    """Note of each change that is in doubt whether it happened, and as what it would be told."""
    answers = {row["key"]: row["body"] for row in records.rows["idempotency_keys"]}
    texts = {row["provider_id"] for row in records.rows["inbound_messages"]}
    holds = {(event["action"], str(event["visit_id"])) for event in records.rows["audit_events"]}
    absences = {str(absence["id"]) for absence in records.rows["time_off"]}

    def told(ask: Ask) -> dict[str, Any] | None:
        if ask.key:
            return json.loads(answers[ask.key]) if ask.key in answers else None
        happened = {
            "text": ask.wants.get("sid") in texts,
            "extend": ("hold.extended", ask.visit) in holds,
            "release": ("hold.released", ask.visit) in holds,
            "time-on": ask.visit not in absences,
        }[ask.what]
        return {} if happened else None

    for ask in records.asks:
        if ask.what in CHANGES and ask.outcome == "unknown":
            answer = told(ask)
            ask.gave_up, ask.outcome, ask.told = True, "refused" if answer is None else "told", answer or {}
            ask.ids += [answer["id"]] if answer and "id" in answer else []
