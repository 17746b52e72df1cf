"""Builds Go programs of the tests from Debian's packages, without modules and network."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

__all__ = ["build_go"]

_GOCODE: Final = Path("/usr/share/gocode/src")
"Where Debian installs the sources of Go packages."
_NEEDED: Final = _GOCODE / "github.com" / "pion" / "webrtc"


def build_go(factory: pytest.TempPathFactory, name: str, source: Path) -> Path:
    """Build the Go program in the folder *source* once for all workers; return its path.

    Without Debian's packages the test is skipped; with CI=true it fails. A build takes 12 s on two
    idle processors.
    """
    if shutil.which("go") is None or not _NEEDED.exists():
        message = "needs Debian's golang-go and golang-github-pion-webrtc.v3-dev"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    base = factory.getbasetemp()
    # The folders of pytest-xdist's workers have one parent.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "go"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = folder / name
        if not program.exists():
            _build(folder, name, source)
        return program


def _build(folder: Path, name: str, source: Path) -> None:
    sources = folder / "src"
    if not sources.exists():
        # Without modules, Go finds a package by its path, in which Debian leaves out `/v3`.
        shutil.copytree(_GOCODE, sources, ignore=shutil.ignore_patterns("*_test.go"))
        for module in sorted(_GOCODE.rglob("go.mod")):
            path = re.search(r"^module\s+(\S+)", module.read_text(encoding="utf-8"), re.MULTILINE)
            if path is not None and not (sources / path[1]).exists():
                shutil.copytree(module.parent, sources / path[1])
    shutil.copytree(source, sources / name)
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOPATH": str(folder),
        "GOCACHE": str(folder / "cache"),
        "CGO_ENABLED": "0",
    }
    built = subprocess.run(
        ["go", "build", "-o", folder / name, name],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
