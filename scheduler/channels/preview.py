"""Messages that are shown instead of sent."""

from datetime import datetime

from scheduler.channels.base import Envelope, Outcome


class PreviewChannel:
    """Accepts every message and lets none of them out; what would have left is in the outbox, rendered."""

    can_be_asked = True

    async def send(self, envelope: Envelope) -> Outcome:
        return Outcome(result="accepted", provider_id=f"preview-{envelope.message_id}")

    async def find(self, envelope: Envelope, since: datetime) -> tuple[str, ...]:  # noqa: ARG002 - nothing ever left
        return ()

    async def close(self) -> None:
        """Nothing is open."""
