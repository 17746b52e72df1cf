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
_KEPT: Final = Path(__file__).resolve().parents[2] / "build" / "go"
"For Go's cache, which later runs use. Its keys are contents, so nothing in it is outdated."
_NEEDED: Final = _GOCODE / "github.com" / "pion" / "webrtc"


def build_go(factory: pytest.TempPathFactory, name: str, source: Path) -> Path:
    """Build the Go program in the folder *source* once for all workers; return its path.

    Without Debian's packages the test is skipped; with CI=true it fails. The first build
    takes 12 s on two idle processors, later ones take less than 1 s.
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
            _build(program, source)
        return program


def _build(program: Path, source: Path) -> None:
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(_KEPT / "src", ignore_errors=True)
        # Without modules, Go finds a package by its path, in which Debian leaves out `/v3`.
        for module in sorted(_GOCODE.rglob("go.mod")):
            path = re.search(
                r'^module\s+"?([^\s"]+)', module.read_text(encoding="utf-8"), re.MULTILINE
            )
            if path is not None and not (_GOCODE / path[1]).exists():
                _link(_KEPT / "src" / path[1], module.parent)
        _link(_KEPT / "src" / program.name, source)
        environment = {
            **os.environ,
            "GO111MODULE": "off",
            "GOFLAGS": "",
            "GOPATH": f"{_GOCODE.parent}{os.pathsep}{_KEPT}",
            "GOCACHE": str(_KEPT / "cache"),
            "CGO_ENABLED": "0",
        }
        built = subprocess.run(
            ["go", "build", "-o", program, program.name],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert built.returncode == 0, built.stderr


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
