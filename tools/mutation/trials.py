"""Whether the tests notice a mutant. Each is tried in a process of its own that is forked from one with the libraries.

Which tests run a function is found out first, in a run without mistakes; a mutant in it meets those alone, the quickest
first, and the first that fails has noticed it. One that takes far longer than without the mistake counts as noticed.
"""

import ast
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Literal, NamedTuple

import hypothesis
import pytest

from tools.mutation.mutants import Mutant

Verdict = Literal["noticed", "too slow", "survived", "no test"]

ROOT = Path(__file__).parents[2]
OPTIONS = ["-q", "-x", "--noconftest", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]

# A test may take so many times what it takes without the mistake, and this on top; importing everything, this alone.
PATIENCE, LEAST_SECONDS = 10.0, 20.0

# One that never ends may collect something meanwhile, and the machine is not to be short of memory for it.
MOST_BYTES = 4 * 1024**3

# A function by its file and its name.
Key = tuple[str, str]


class Coverage(NamedTuple):
    """Which tests call each function of the mutated files, and how many seconds every test takes."""

    callers: Mapping[Key, set[str]]
    seconds: Mapping[str, float]


class Watcher:
    """A plugin that notes which functions of the mutated files each test calls."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = {str(path) for path in files}
        self._names: dict[CodeType, Key | None] = {}
        self._called: set[Key] = set()
        self.callers: defaultdict[Key, set[str]] = defaultdict(set)
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._called = set()
        began = time.perf_counter()
        sys.setprofile(self._note)
        try:
            return (yield)
        finally:
            sys.setprofile(None)
            self.seconds[item.nodeid] = time.perf_counter() - began
            for key in self._called:
                self.callers[key].add(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._names:
            inside = code.co_filename in self._files
            self._names[code] = (code.co_filename, _outer(code.co_qualname)) if inside else None
        if key := self._names[code]:
            self._called.add(key)


def _outer(name: str) -> str:
    """Return the name of the outermost function: what is inside it is called with it."""
    return name.partition(".<locals>")[0].rpartition(".")[2] if ".<locals>" in name else name.rpartition(".")[2]


def watch(files: Sequence[Path], tests: Sequence[str]) -> Coverage:
    """Run the tests once without any mistake, and return which of them run which functions."""
    watcher = Watcher(files)
    _prepare_hypothesis()
    status = pytest.main([*OPTIONS, *tests], plugins=[watcher])
    if status != pytest.ExitCode.OK:
        raise SystemExit(f"The tests fail without any mistake: {', '.join(watcher.failed)}")
    # Each trial inherits what is here by now, and pytest collects garbage several times: looking through all of it for
    # nothing took ten times as long as the tests.
    gc.collect()
    gc.freeze()
    return Coverage(watcher.callers, watcher.seconds)


def tests_for(mutant: Mutant, coverage: Coverage) -> dict[str, float]:
    """Return the tests that could notice a mutant, with the seconds that each takes, the quickest first."""
    file = str(mutant.path)
    outer = mutant.function.partition(".")[0] if mutant.function else None
    # A function inside a class or another function is noted by its own name.
    names = set(mutant.function.split(".") if mutant.function else ())
    found: set[str] = set()
    for (covered, name), tests in coverage.callers.items():
        if covered == file and (outer is None or name in names):
            found |= tests
    if outer is None:
        # A test may read a table and call nothing: one beside those that do, or any where none does.
        test_files = {_file(test) for test in found}
        found = {test for test in coverage.seconds if not test_files or _file(test) in test_files}
    return {test: coverage.seconds[test] for test in sorted(found, key=lambda test: coverage.seconds[test])}


def _file(test: str) -> str:
    return test.partition("::")[0]


class Trial:
    """A mutant that is being tried, in a process that was forked for it. Whoever forks has one thread alone."""

    def __init__(self, mutant: Mutant, tests: Mapping[str, float]) -> None:
        self.mutant = mutant
        self._child = os.fork()
        if self._child == 0:
            os._exit(_notices(mutant, tests))

    def verdict(self) -> Verdict | None:
        """Return what came of it, or None while it runs."""
        done, status = os.waitpid(self._child, os.WNOHANG)
        if not done:
            return None
        code = os.waitstatus_to_exitcode(status)
        return "survived" if code == 0 else "too slow" if code == -signal.SIGALRM else "noticed"


class _Alarm:
    """A plugin that sets an alarm for each test, which ends the process where the test takes far longer than it did."""

    def __init__(self, tests: Mapping[str, float]) -> None:
        self._tests = tests

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + PATIENCE * self._tests[nodeid])


def _notices(mutant: Mutant, tests: Mapping[str, float]) -> int:
    signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("scheduler", "tests")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Mutated(mutant))
    _prepare_hypothesis()
    return int(pytest.main([*OPTIONS, *tests], plugins=[_Alarm(tests)]) != pytest.ExitCode.OK)


def _prepare_hypothesis() -> None:
    """Let it look for a counterexample, the same one each time, and stop at the first: nobody reads it."""
    quick = hypothesis.settings(
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate), database=None, deadline=None,
        derandomize=True, suppress_health_check=[*hypothesis.HealthCheck],  # pyright: ignore[reportArgumentType] - its own members
    )  # fmt: skip
    hypothesis.settings.register_profile("mutants", quick)
    hypothesis.settings.load_profile("mutants")


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the mutant where its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = ".".join(mutant.path.relative_to(ROOT).with_suffix("").parts)

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._mutant.path, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Let Python make the module: there is nothing special about it."""
        del spec

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree(), str(self._mutant.path), "exec"), module.__dict__)  # noqa: S102


def is_possible(mutant: Mutant) -> bool:
    """Return whether the mutant is a program at all."""
    try:
        compile(ast.unparse(mutant.tree()), str(mutant.path), "exec")
    except (SyntaxError, ValueError):
        return False
    return True
