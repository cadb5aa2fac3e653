"""Who acts: the public, a patient by their link, a key of the front desk, or the system itself."""

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is what audit rows say; staff may pass the limits that bind patients."""

    name: str
    staff: bool = False
    request_id: str | None = None


SYSTEM = Actor(name="system", staff=True)
COMMAND_LINE = Actor(name="command line", staff=True)
