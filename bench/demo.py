"""Demonstration: one real file, two processes, a WebRTC data channel between them.

Makes a file of random bytes, starts `dcsend send` and `dcsend receive` as on two
machines, and compares the SHA-256 of both files. No server is used, and no packet leaves this
machine. Exit status 0 only if the digests agree.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Final

SIZE: Final = 20_000_000
"Bytes of the file."

PATIENCE: Final = 120.0
"Seconds for all of it; it takes a few."

PROGRAM: Final = Path(sys.executable).with_name("dcsend")


class DemoFailed(Exception):
    """One of the two processes has failed; the message has its name and its output."""


async def _demonstrate(folder: Path) -> bool:
    source, inbox = folder / "random.bin", folder / "inbox"
    source.write_bytes(os.urandom(SIZE))
    print(f"$ dcsend send {source.name} --json --stun none --no-page", flush=True)
    sender = await _start("send", source, "--json", "--stun", "none", "--no-page")
    receiver: Process | None = None
    try:
        code = await _code(sender)
        print(f"  code: {code}")
        print(f"$ dcsend receive CODE -o {inbox.name} -y --json", flush=True)
        receiver = await _start("receive", code, "-o", inbox, "-y", "--json")
        ends = await asyncio.gather(_end(receiver, "receive"), _end(sender, "send"))
    finally:
        for process in (sender, receiver):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
    arrived = inbox / source.name
    if not arrived.is_file():
        raise DemoFailed(f"dcsend receive ended well, but there is no {arrived.name}")
    if seconds := ends[0].get("seconds"):
        print(f"  {SIZE / 1e6:.0f} MB in {seconds:.1f} s")
    sent, received = _sha256(source), _sha256(arrived)
    print(f"sent      sha256 {sent}")
    print(f"received  sha256 {received}")
    return sent == received


async def _start(*arguments: str | Path) -> Process:
    # The variable is for the receiver; no STUN server is used.
    return await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, stdout=PIPE, stderr=PIPE, env={**os.environ, "DCSEND_STUN": "none"}
    )


async def _code(sender: Process) -> str:
    """Read events up to the one that holds the code; the rest stays in the pipe."""
    while sender.stdout is not None and (line := await sender.stdout.readline()):
        event = _event(line)
        if event.get("event") == "code":
            return str(event["code"])
    await _end(sender, "send")
    raise DemoFailed("dcsend send ended without a code")


async def _end(process: Process, name: str) -> dict[str, Any]:
    """Wait for the end of a process and return its last event, which is `done`."""
    stdout, stderr = await process.communicate()
    if process.returncode != 0:
        said = (stderr + stdout).decode(errors="replace")
        raise DemoFailed(f"dcsend {name} ended with status {process.returncode}:\n{said}")
    lines = stdout.splitlines()
    return _event(lines[-1]) if lines else {}


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        raise DemoFailed(f"not an event: {line!r}") from None
    return event if isinstance(event, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _main() -> int:
    with tempfile.TemporaryDirectory(prefix="dcsend-demo-") as folder:
        try:
            async with asyncio.timeout(PATIENCE):
                agree = await _demonstrate(Path(folder))
        except (DemoFailed, OSError) as error:  # TimeoutError is an OSError
            print(f"the demonstration failed: {str(error) or 'it took too long'}", file=sys.stderr)
            return 1
    print("digests agree" if agree else "digests DIFFER")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
