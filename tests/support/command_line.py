"""Run `dcsend` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, Any

import typer.main

from dcsend.cli import app
from dcsend.signaling.dialcode import Address, DialCode
from tests.support import forkserver

OLD_CODE = DialCode(bytes(16), bytes(32), 9, (Address("127.0.0.1", 9),), 1_000_000_000).text()
"A code that has expired; no listener uses its port."

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def run(
    *arguments: str, stdin: int | IO[str] = subprocess.DEVNULL, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Run dcsend to its end; return its status, standard output and standard error."""
    # Without PYTHONPATH, which names the current folder: dcsend receives no files there.
    variables = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        **{"DCSEND_ADDRESS": "127.0.0.1", "COLUMNS": "100"},
        **(env or {}),
    }
    if forkserver.usable(variables):
        status, out, err = forkserver.run(arguments, stdin=stdin, env=variables, timeout=150)
    else:
        found = subprocess.run(
            [sys.executable, "-m", "dcsend", *arguments],
            env=variables,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        status, out, err = found.returncode, found.stdout, found.stderr
    assert "Traceback" not in err
    return status, out, err
