"""Where a list goes on: the last row already seen, as text that callers hand back untouched."""

import base64
import binascii
from datetime import UTC, datetime
from uuid import UUID

from scheduler.web.reading import Problems


def write_cursor(moment: datetime, row_id: UUID) -> str:
    """Return the cursor after the row with this moment and id."""
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {row_id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str, problems: Problems) -> tuple[datetime, UUID] | None:
    """Return the moment, in UTC, and the id of the last row already seen."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, row_id = text.rpartition(" ")
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(row_id)
    except (ValueError, OverflowError, binascii.Error):
        problems.add("?cursor", "cursor-invalid", "Use next_cursor as it was given")
        return None
