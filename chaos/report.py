"""What is printed: a line for each seed while it goes, what broke and how to see it again, and the sums at the end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import quantiles

import click
import msgspec

from chaos import bounds, doubts, judge, judge_messages
from chaos.journal import Ask
from chaos.plan import Step
from chaos.records import Records
from chaos.trial import RECOVERY_PATIENCE

PROMISES = (*judge.PROMISES, *judge_messages.PROMISES, *bounds.PROMISES)

# How it is found out whether something that was in doubt happened: by a later try, or by what is written (``doubts``).
RESOLVED = ("by asking again", "given up and had happened", "given up and had not")

# Of one promise that is broken in a hundred places a few will do.
SHOWN = 6


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one seed; times are in seconds.

    ``broken`` are promises and what breaks them, ``doubts`` how often which way led out of doubt.
    """

    seed: int
    steps: Sequence[Step]
    broken: dict[str, list[str]]
    acknowledged: int
    doubts: Counter[str]
    lost: int
    doubled: int
    visits: int
    sent: int
    late: Sequence[float]
    waited: Sequence[float]
    recoveries: Sequence[float]
    calm: float
    slow: Sequence[float]
    peaks: dict[str, float]
    slowness: float


def judged(seed: int, steps: Sequence[Step], records: Records, *, times: bool) -> Verdict:
    """Hold the records of a seed against every promise; those about ``times`` only where the machine is ours."""
    doubts.settle(records)
    promises = (*PROMISES, *bounds.TIMES) if times else PROMISES
    broken = {promise.__name__: found for promise in promises if (found := list(promise(records)))}
    said = [words for found in broken.values() for words in found]
    changes = [ask for ask in records.asks if ask.what in doubts.CHANGES]
    return Verdict(
        seed=seed,
        steps=steps,
        broken=broken,
        acknowledged=sum(ask.outcome == "told" and not ask.gave_up for ask in changes),
        doubts=Counter(_how_resolved(ask) for ask in changes if ask.doubtful),
        lost=sum(words.startswith("lost") for words in said),
        doubled=sum(words.startswith("doubled") for words in said),
        visits=sum(visit["patient_id"] is not None for visit in records.rows["visits"]),
        sent=len(records.texts) + len(records.mails),
        late=list(_late(records)),
        waited=[one.ended - one.began for ask in records.asks for one in ask.tries if one.status is not None],
        recoveries=[
            RECOVERY_PATIENCE if recovery.seconds is None else recovery.seconds for recovery in records.recoveries
        ],
        calm=records.calm or float("inf"),
        slow=[seconds for seconds in records.slow if seconds is not None],
        peaks=records.peaks,
        slowness=bounds.slowness(records),
    )


def _how_resolved(ask: Ask) -> str:
    if ask.outcome == "unknown":
        return "not at all"
    if not ask.gave_up:
        return RESOLVED[0]
    return RESOLVED[1] if ask.outcome == "told" else RESOLVED[2]


def _late(records: Records) -> Iterator[float]:
    """Yield how long after a notice was written its provider had it, by the clocks of the database and the provider."""
    due = {str(row["id"]): row["created_at"] for row in records.rows["messages"] if row["kind"] != "reminder"}
    for accepted in (*records.texts, *records.mails):
        name = next((name for name in due if name in str(accepted)), None)
        if name is not None:
            yield (datetime.fromisoformat(accepted["at"]) - due[name]).total_seconds()


def tell_seed(verdict: Verdict, took: float) -> None:
    """Print a line about a seed, and what broke."""
    faults = " ".join("+".join(step.faults) for step in verdict.steps)
    state = "ok  " if not verdict.broken else "FAIL"
    click.echo(
        f"{state} seed {verdict.seed:<4} {verdict.acknowledged:4} acknowledged, {_told(verdict.doubts)}, "
        f"{verdict.lost} lost, {verdict.doubled} doubled, {verdict.sent:4} sent, "
        f"late p99 {_quantile(verdict.late, 99):.1f} s, back in {max(verdict.recoveries, default=0):.1f} s  "
        f"[{took:.0f} s: {faults}]"
    )
    tell_broken(verdict)


def _told(doubts: Counter[str]) -> str:
    return f"{doubts.total():3} in doubt, {_resolved(doubts):3} resolved"


def _resolved(doubts: Counter[str]) -> int:
    return sum(doubts[way] for way in RESOLVED)


def tell_control(name: str, expected: Sequence[str], verdict: Verdict) -> bool:
    """Print what was said of a service that is wrong on purpose, and return whether it is what must be said."""
    said = [words for found in verdict.broken.values() for words in found]
    caught = [words for words in said if any(part in words for part in expected)]
    click.echo(
        f"{'found ' if caught else 'MISSED'} {name}, seed {verdict.seed}: {len(said)} breaches"
        f"{f', {len(caught)} of them such as:' if caught else ''}"
    )
    for words in caught[:2]:
        click.echo(f"       - {words}")
    if not caught:
        tell_broken(verdict)
    return bool(caught)


def tell_broken(verdict: Verdict) -> None:
    for promise, found in verdict.broken.items():
        click.echo(f"     {promise.replace('_', ' ')}:")
        for words in found[:SHOWN]:
            click.echo(f"       - {words}")
        if len(found) > SHOWN:
            click.echo(f"       - and {len(found) - SHOWN} more")


def tell_all(verdicts: Sequence[Verdict]) -> None:
    """Print the sums over all seeds."""
    late = [seconds for verdict in verdicts for seconds in verdict.late]
    waited = [seconds for verdict in verdicts for seconds in verdict.waited]
    back = [seconds for verdict in verdicts for seconds in verdict.recoveries]
    slow = [seconds for verdict in verdicts for seconds in verdict.slow]
    doubts = sum((verdict.doubts for verdict in verdicts), Counter[str]())
    click.echo()
    for name, value in {
        "seeds": len(verdicts),
        "faults": sum(len(step.faults) for verdict in verdicts for step in verdict.steps),
        "visits booked": sum(verdict.visits for verdict in verdicts),
        "acknowledged": sum(verdict.acknowledged for verdict in verdicts),
        "in doubt": doubts.total(),
        "resolved": f"{_resolved(doubts)}: {', '.join(f'{doubts[way]} {way}' for way in RESOLVED)}",
        "lost": sum(verdict.lost for verdict in verdicts),
        "doubled": sum(verdict.doubled for verdict in verdicts),
        "messages sent": sum(verdict.sent for verdict in verdicts),
        "messages late": _spread(late),
        "requests": f"{len(waited)}, {_spread(waited)}",
        "well again in": _middle(back),
        "from nothing": _middle([verdict.calm for verdict in verdicts]),
        "slow clients": f"{len(slow)}, closed after {max(slow, default=0):.1f} s at the latest",
        "machine": f"up to {max((verdict.slowness for verdict in verdicts), default=1):.1f} times slower than alone",
        "connections": f"at most {max((verdict.peaks['connections'] for verdict in verdicts), default=0):.0f}",
        "memory": ", ".join(
            f"{kind} at most {max((verdict.peaks[f'{kind} MB'] for verdict in verdicts), default=0):.0f} MB"
            for kind in ("web", "worker")
        ),
    }.items():  # fmt: skip
        click.echo(f"{name:16} {value}")
    if failed := [verdict.seed for verdict in verdicts if verdict.broken]:
        click.echo(f"\n{len(failed)} of {len(verdicts)} seeds broke a promise. To see one again:")
        for seed in failed:
            click.echo(f"  make chaos SEED={seed}")
    else:
        click.echo("\nEvery promise held.")


def _middle(seconds: Sequence[float]) -> str:
    return f"median {_quantile(seconds, 50):.2f} s, worst {max(seconds, default=0.0):.1f} s, {len(seconds)} times"


def _spread(seconds: Sequence[float]) -> str:
    p50, p99, longest = _quantile(seconds, 50), _quantile(seconds, 99), max(seconds, default=0.0)
    return f"p50 {p50:.2f} s, p99 {p99:.2f} s, longest {longest:.1f} s"


def _quantile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else max(values, default=0.0)
