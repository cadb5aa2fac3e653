"""What browsers are given and we did not write is what its authors published, byte for byte."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "scheduler" / "static" / "vendor"


def test_every_vendored_script_has_its_hash_its_version_and_its_licence_beside_it() -> None:
    lines = [line.split() for line in (VENDOR / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    scripts = {path.name: path for path in VENDOR.glob("*.js")}
    assert scripts.keys() == sums.keys()
    for name, path in scripts.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[name], name
        assert name in (VENDOR / "VERSION").read_text()
    assert "Zero-Clause BSD" in (VENDOR / "LICENSE").read_text()
