"""Who acts: the public, a patient by their link, a key of the front desk, or the system itself."""

import msgspec


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """Where a patient's request came from: the internet address, and the browser's name for itself, "" for none.

    Kept with what they agree to, as the proof that they did, and nowhere else.
    """

    address: str
    user_agent: str


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """``name`` is what audit rows say; staff may pass the limits that bind patients.

    ``browser`` is None for whoever is not a patient at a page.
    """

    name: str
    staff: bool = False
    request_id: str | None = None
    browser: Browser | None = None


SYSTEM = Actor(name="system", staff=True)
COMMAND_LINE = Actor(name="command line", staff=True)
