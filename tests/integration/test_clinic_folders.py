"""Clinic files on disk, one or a folder of them: what is read, and what is refused by name."""

from pathlib import Path

import pytest

from scheduler.channels.texts import load_texts
from scheduler.domain.clinic_files import REMINDER_TEMPLATES
from scheduler.errors import ConfigurationError
from scheduler.services.clinic_files import read_files

CONFIG = Path(__file__).parents[2] / "config"
TEXT = (CONFIG / "clinic.toml").read_text(encoding="utf-8")


def test_every_text_that_a_reminder_may_name_is_written_in_every_language() -> None:
    for language, channels in load_texts(CONFIG / "messages").languages.items():
        for channel, templates in REMINDER_TEMPLATES.items():
            assert set(templates) <= channels[channel].keys(), f"{language} {channel}"


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "a.toml").write_text(TEXT.replace('"fair-lawn"', '"wayne"'), encoding="utf-8-sig")
    (tmp_path / ".a.toml").write_text("an editor's leftover", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a clinic", encoding="utf-8")
    assert [file.code for file in read_files(tmp_path)] == ["wayne", "fair-lawn"]
    assert [file.code for file in read_files(tmp_path / "b.toml")] == ["fair-lawn"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "{folder}: holds no clinic file, whose name ends in .toml"),
        ({"a.toml": b"code = 1"}, "{folder}/a.toml: code: expected text"),
        ({"a.toml": b"\xff"}, "{folder}/a.toml: is not a UTF-8 text file"),
        (
            {"a.toml": TEXT.encode(), "b.toml": TEXT.encode()},
            "{folder}/b.toml: code: fair-lawn belongs to {folder}/a.toml already",
        ),
        (
            {
                "a.toml": TEXT.replace("hosts = []", 'hosts = ["one.example"]').encode(),
                "b.toml": TEXT.replace("hosts = []", 'hosts = ["one.example"]')
                .replace('"fair-lawn"', '"wayne"')
                .encode(),
            },
            "{folder}/b.toml: hosts: one.example belongs to {folder}/a.toml already",
        ),
    ],
    ids=["empty", "wrong", "binary", "same code", "same host"],
)
def test_a_folder_that_cannot_be_used_is_refused_by_name(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError) as refusal:
        read_files(tmp_path)
    assert str(refusal.value).startswith(problem.format(folder=tmp_path))


def test_a_path_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: there is no such file or folder"):
        read_files(tmp_path / "nowhere.toml")


def test_every_wrong_file_of_a_folder_is_told(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(TEXT.replace("America/New_York", "Nowhere"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        read_files(tmp_path)
    assert [line.partition(": ")[0] for line in str(refusal.value).splitlines()] == [
        str(tmp_path / "a.toml"),
        str(tmp_path / "b.toml"),
    ]
