"""The bill of materials: everything that is pinned and runs here, with its licence and digests, always the same."""

from pathlib import Path

from tools import sbom

ROOT = Path(__file__).parents[2]


def test_everything_that_is_installed_of_what_is_pinned_is_in_it_with_its_digests() -> None:
    pins = sbom.pinned((ROOT / "requirements.txt").read_text())
    parts = {part["name"]: part for part in sbom.document()["components"]}
    assert {"litestar", "asyncpg", "twilio", "postgresql"} <= parts.keys()
    missing = pins.keys() - parts.keys()
    assert all("win32" in (ROOT / "requirements.txt").read_text().partition(f"\n{name}==")[2][:200] for name in missing)
    for name, part in parts.items():
        assert part["version"]
        assert part["licenses"][0]["license"] != {"name": "not declared"}, name
        if name != "postgresql":
            assert part["version"] == pins[name][0]
            assert len(part["properties"]) == len(pins[name][1]) > 0


def test_it_says_the_same_each_time_and_names_no_place_to_download_from() -> None:
    assert sbom.document() == sbom.document()
    assert "://" not in str(sbom.document())
