"""Write a software bill of materials of the page: CycloneDX 1.6, JSON.

A wheel carries it in `dcsend-….dist-info/sboms/` (PEP 770): other tools find the Python
dependencies of a wheel, but not the JavaScript libraries inside `dcsend/page.html`. The build of
the page (`web-receiver/build/page.ts`) lists the packages whose code it contains; versions and
digests are those of `web-receiver/package-lock.json`. No network is used.
Deterministic, so that the same sources make the same wheel. Called by hatch_build.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

__all__ = ["FILE", "write"]

ROOT: Final = Path(__file__).resolve().parent.parent
FILE: Final = ROOT / "web-receiver" / "dist" / "dcsend.cdx.json"
"Where it is made; a wheel keeps the last name. Beside the page: both are made, neither is in git."

_LOCK: Final = ROOT / "web-receiver" / "package-lock.json"
_ALGORITHMS: Final = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def write(version: str, page: Path) -> None:
    """Write the bill of the built *page* for a wheel of this *version* to `FILE`."""
    libraries = [_library(name, package) for name, package in _bundled(page)]
    wheel = f"pkg:pypi/dcsend@{version}"
    digest = hashlib.sha256(page.read_bytes()).hexdigest()
    file = {
        "type": "file",
        "bom-ref": "dcsend/page.html",
        "name": "dcsend/page.html",
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    references = [library["bom-ref"] for library in libraries]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": wheel,
                "name": "dcsend",
                "version": version,
                "purl": wheel,
                "licenses": [{"expression": "MIT AND CC-BY-3.0-US"}],
            }
        },
        "components": [file, *libraries],
        "dependencies": [
            {"ref": wheel, "dependsOn": ["dcsend/page.html"]},
            {"ref": "dcsend/page.html", "dependsOn": references},
            *({"ref": reference} for reference in references),
        ],
    }
    FILE.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")


def _bundled(page: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return name and record of each package that the page contains code of, in order."""
    names = json.loads(page.with_name("libraries.json").read_text(encoding="utf-8"))
    packages = json.loads(_LOCK.read_text(encoding="utf-8"))["packages"]
    return [(name, packages[f"node_modules/{name}"]) for name in names]


def _library(name: str, package: dict[str, Any]) -> dict[str, Any]:
    purl = f"pkg:npm/{quote(name)}@{package['version']}"
    scope, slash, rest = name.partition("/")
    named = {"group": scope, "name": rest} if slash else {"name": name}
    return {
        "type": "library",
        "bom-ref": purl,
        **named,
        "version": package["version"],
        "hashes": [_hash(one) for one in package["integrity"].split()],
        "licenses": [{"license": {"id": package["license"]}}],
        "purl": purl,
    }


def _hash(integrity: str) -> dict[str, str]:
    """Turn a digest as of Subresource Integrity, which npm locks, into one of CycloneDX."""
    algorithm, _, digest = integrity.partition("-")
    return {"alg": _ALGORITHMS[algorithm], "content": base64.b64decode(digest).hex()}
