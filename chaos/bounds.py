"""What must hold while it happens: how long anybody waits, how soon it is well again, and what is used up."""

import os
from collections.abc import Iterator

from chaos.judge import Promise
from chaos.records import Records

ANSWER_SECONDS = 5.0
RECOVERY_SECONDS = 5.0
SLOW_SECONDS = 15.0

# How long the clinic takes to open on two cores with nothing else to do.
START_SECONDS = 5.0

# How many threads for each processor we ourselves keep waiting.
OUR_THREADS = 2.0

# Beside what was open before: connections that clients keep alive, a log that was opened anew.
MORE_FILES, MORE_TASKS = 12, 3


def everybody_is_answered_in_time(records: Records) -> Iterator[str]:
    """Less what the machine kept the clients themselves waiting, and not while their web process was silenced."""
    for ask in records.asks:
        for one in ask.tries:
            took = one.ended - one.began - _stalled(records, one.began, one.ended)
            silenced = any(began <= one.ended and one.began <= ended for began, ended in records.excused[one.web])
            if took > ANSWER_SECONDS and not silenced:
                yield f"slow: {ask.what} took {took:.1f} s at {one.web} ({one.status or one.error}), ask {ask.number}"


def everything_is_well_again_soon(records: Records) -> Iterator[str]:
    for recovery in records.recoveries:
        what = " + ".join(recovery.faults)
        if recovery.seconds is None:
            yield f"slow: after {what} no booking was taken any more"
        elif recovery.seconds > RECOVERY_SECONDS:
            yield f"slow: after {what} it took {recovery.seconds:.1f} s until bookings were taken"


def slow_clients_are_sent_away(records: Records) -> Iterator[str]:
    for seconds in records.slow:
        if seconds is None or seconds > SLOW_SECONDS:
            yield f"slow: a client that never came to an end was kept for {seconds or 'ever'} s"


def nothing_is_used_up(records: Records) -> Iterator[str]:
    before, after = records.before, records.after
    if (after.connections or 0) > (before.connections or 0):
        yield f"leak: {after.connections} connections to the database, {before.connections} before"
    for name, files in after.files.items():
        if files > before.files.get(name, files) + MORE_FILES:
            yield f"leak: {name} has {files} open files, {before.files[name]} before"
    for web, tasks in records.tasks_after.items():
        if tasks > records.tasks_before.get(web, tasks) + MORE_TASKS:
            yield f"leak: {web} has {tasks:.0f} tasks, {records.tasks_before[web]:.0f} before"


def _stalled(records: Records, began: float, ended: float) -> float:
    return sum(late for at, late in records.stalls if began - late <= at <= ended)


def slowness(records: Records) -> float:
    """Return how much slower this machine is, with all that runs on it beside us, than one that is ours: 1 or more.

    It excuses nothing. It is told, so that who reads of a bound that was broken knows where to look first.
    """
    wanted = records.runnable / (OUR_THREADS * (os.cpu_count() or 1))
    return max(1.0, wanted, records.start_seconds / START_SECONDS)


PROMISES: tuple[Promise, ...] = (nothing_is_used_up,)

# They hold where two processors are ours alone.
TIMES: tuple[Promise, ...] = (
    everybody_is_answered_in_time,
    everything_is_well_again_soon,
    slow_clients_are_sent_away,
)
