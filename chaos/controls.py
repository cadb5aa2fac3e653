"""The service made wrong on purpose. A control that the judge lets pass means that the judge sees nothing.

Each says what is made wrong, the faults under which that must show, and what must be said of it.
"""

from typing import NamedTuple

from chaos.plan import Step

DROP_CONSTRAINT = "alter table occupancy drop constraint occupancy_without_overlap"


class Control(NamedTuple):
    """``wrong`` is what ``chaos.saboteur`` does to each process, ``sql`` what is done to the database before.

    ``options`` are PostgreSQL's, ``latency`` the seconds that every word to the database takes. ``found`` are words of
    which one must be in what the judge says.
    """

    faults: tuple[str, ...]
    found: tuple[str, ...]
    wrong: str = ""
    sql: str = ""
    options: tuple[tuple[str, str], ...] = ()
    latency: float = 0.0

    def steps(self, seconds: float) -> list[Step]:
        """Return the faults again and again, one after the other."""
        number = max(2, round(seconds / 4))
        return [Step(faults=(self.faults[n % len(self.faults)],), seconds=1.5, pause=1.5) for n in range(number)]


CONTROLS: dict[str, Control] = {
    "constraint-dropped": Control(
        wrong="no-locks", sql=DROP_CONSTRAINT, latency=0.02, faults=("slow-database",), found=("both keep",),
    ),
    "lock-removed": Control(
        wrong="no-locks", latency=0.03, faults=("lose-answers",), found=("inside the absence",),
    ),
    "outbox-outside": Control(wrong="outbox-outside", faults=("kill-web",), found=("lacks",)),
    "retry-on-time-out": Control(
        wrong="retry", faults=("twilio-accepts-then-drops", "kill-worker"), found=("doubled: text",)
    ),
    "asynchronous-commit": Control(
        options=(("synchronous_commit", "off"), ("wal_writer_delay", "10s")),
        faults=("kill-postgres",), found=("lost",),
    ),
    "log-unscrubbed": Control(wrong="log-unscrubbed", faults=("kill-worker",), found=("is in web",)),
    "no-time-limits": Control(wrong="no-time-limits", faults=("half-open", "cable-out"), found=("slow",)),
}  # fmt: skip
