"""People who do not exist: each has a name, a phone and an address that appear nowhere else, so that a leak is seen."""

import random
from typing import Any

# With 555-01xx behind them these are nobody's numbers.
AREA_CODES = """
    201 551 609 640 732 848 856 862 908 973 212 332 347 516 518 607 631 646 716 718
""".split()


def make_person(number: int, chance: random.Random) -> dict[str, Any]:
    """Return the n-th person (fewer than 2,000) as the API takes them; the family name is their marker."""
    marker = f"Zq{number:04}{''.join(chance.choices('bcdfghjklmnpqrstvwxz', k=4))}"
    code = AREA_CODES[number // 100 % len(AREA_CODES)]
    person: dict[str, Any] = {
        "given_name": "Canary",
        "family_name": marker,
        "phone": f"+1{code}5550{100 + number % 100}",
        "email": f"{marker.lower()}@example.com",
        "sms_consent": {"granted": True, "wording_version": "2026-11"},
    }
    # Not everybody wants everything.
    drawn = chance.random()
    if drawn < 0.15:
        del person["email"]
    elif drawn < 0.3:
        del person["sms_consent"]
    return person
