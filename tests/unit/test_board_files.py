"""The files that the board's pages bring along: what is vendored is what was published, and every place has a class."""

import hashlib
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "scheduler" / "static"

# As the project publishes them on npm: htmx.org 4.0.1, dist/htmx.min.js and dist/ext/hx-sse.min.js.
PUBLISHED = {
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_vendored_is_what_was_published(name: str) -> None:
    content = (STATIC / "vendor" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED[name]


def test_the_vendored_files_have_their_version_and_licence_beside_them() -> None:
    version = (STATIC / "vendor" / "VERSION").read_text()
    assert "htmx.org 4.0.1" in version
    assert all(digest in version for digest in PUBLISHED.values())
    assert "Zero-Clause BSD" in (STATIC / "vendor" / "LICENSE").read_text()


def test_there_is_a_class_for_every_place_of_a_day_of_five_minute_rows() -> None:
    css = (STATIC / "board.css").read_text()
    rows = {int(name): int(line) for name, line in re.findall(r"\.t(\d+) { grid-row-start: (\d+); }", css)}
    assert rows == {row: row + 1 for row in range(288)}
    spans = {int(name): int(span) for name, span in re.findall(r"\.n(\d+) { grid-row-end: span (\d+); }", css)}
    assert spans == {span: span for span in range(1, 289)}
    columns = {int(name): int(line) for name, line in re.findall(r"\.k(\d+) { grid-column: (\d+); }", css)}
    assert columns == {column: column + 1 for column in range(1, 41)}


def test_the_boards_script_makes_no_style_and_runs_no_text() -> None:
    script = (STATIC / "board.js").read_text()
    assert not re.search(r"eval|innerHTML|insertAdjacentHTML|setAttribute\(.style|new Function|localStorage", script)
