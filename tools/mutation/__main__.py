"""`make mutants`: every rule of the clinic broken in every small way we know, and which of these no test notices.

python -m tools.mutation [MODULE ...] [--one-in 4] [--least 85] [--at-once 2]

A module is a name below scheduler/domain; without any, all of them are tried. Of the mutants every fourth, for an
answer in a quarter of the time.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools.mutation.mutants import Mutant, mutants_of
from tools.mutation.trials import ROOT, Trial, Verdict, is_possible, tests_for, watch

DOMAIN = ROOT / "scheduler" / "domain"

POLL_SECONDS = 0.02

MISSED: frozenset[Verdict] = frozenset({"survived", "no test"})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--one-in", type=int, default=1, help="of the mutants, try one in so many")
    parser.add_argument("--least", type=float, default=85.0, help="percent that must be noticed")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tests", nargs="*", default=["tests/unit"])
    asked = parser.parse_args()
    os.chdir(ROOT)
    files = [DOMAIN / f"{name}.py" for name in asked.modules] or sorted(DOMAIN.glob("*.py"))
    every = [mutant for path in files for mutant in mutants_of(path)]
    mutants = [mutant for mutant in every[:: asked.one_in] if is_possible(mutant)]
    print(f"{len(mutants)} of {len(every)} mutants of {len(files)} modules", flush=True)
    verdicts = try_all(mutants, files, asked.tests, asked.at_once)
    return report(files, mutants, verdicts, asked.least)


def try_all(mutants: Sequence[Mutant], files: Sequence[Path], tests: Sequence[str], at_once: int) -> list[Verdict]:
    """Return what came of each mutant; those that nobody noticed are printed as they are found."""
    coverage = watch(files, tests)
    began = time.monotonic()
    verdicts: dict[int, Verdict] = {}
    running: dict[int, Trial] = {}
    waiting = iter(enumerate(mutants))
    while len(verdicts) < len(mutants):
        while len(running) < at_once and (following := next(waiting, None)):
            number, mutant = following
            if chosen := tests_for(mutant, coverage):
                running[number] = Trial(mutant, chosen)
            else:
                verdicts[number] = "no test"
        for number, trial in list(running.items()):
            if verdict := trial.verdict():
                del running[number]
                verdicts[number] = verdict
                if verdict == "survived" or len(verdicts) % 100 == 0:
                    where = f"{trial.mutant.path.name}:{trial.mutant.line} {trial.mutant.words}"
                    took = time.monotonic() - began
                    print(f"[{len(verdicts)}/{len(mutants)} {took:.0f} s] {where}: {verdict}", flush=True)
        time.sleep(POLL_SECONDS)
    return [verdicts[number] for number in range(len(mutants))]


def report(files: Sequence[Path], mutants: Sequence[Mutant], verdicts: Sequence[Verdict], least: float) -> int:
    """Print what was missed, and how much of each module was noticed; return the exit code."""
    print("\nWhat no test noticed:")
    for mutant, verdict in zip(mutants, verdicts, strict=True):
        if verdict in MISSED:
            where = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
            print(
                f"  {where} in {mutant.function or 'the module'}: {mutant.words}{' (no test)' * (verdict == 'no test')}"
            )
    print(f"\n{'module':20} {'mutants':>8} {'noticed':>8} {'missed':>8}")
    for path in files:
        counts = Counter(
            verdict in MISSED for mutant, verdict in zip(mutants, verdicts, strict=True) if mutant.path == path
        )
        if counts:
            share = 100 * counts[False] / counts.total()
            print(f"{path.stem:20} {counts.total():8} {counts[False]:8} {counts[True]:8} {share:6.1f} %")
    noticed = 100 * sum(verdict not in MISSED for verdict in verdicts) / max(1, len(verdicts))
    print(f"\n{noticed:.1f} % noticed; at least {least:.0f} % are needed.")
    return int(noticed < least)


if __name__ == "__main__":
    sys.exit(main())
