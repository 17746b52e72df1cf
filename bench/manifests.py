"""Memory of a receiver for a manifest: its peak until the question, or until the end.

    python -m bench.manifests [ENTRIES] [NAME ...]

Offers manifests of the largest size that PROTOCOL.md allows to `dcsend receive`, of every kind that
could need more memory than others, at a terminal and with `--json -y`. The limit is 100 MB
plus 600 bytes for each entry, of resident memory of the process (VmHWM; Linux only).
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dcsend.entry import Entry, Kind
from dcsend.errors import DcsendError
from dcsend.peers.contract import Channel
from dcsend.peers.dialer import dial
from dcsend.peers.loading import transfer_peer
from dcsend.protocol import limits
from dcsend.protocol.manifest_messages import split_manifest
from dcsend.protocol.messages import Cancel, Complete, Hello, decode, encode
from dcsend.signaling.dialcode import decode as decode_code
from dcsend.signaling.dialcode import ice_password

BASE: Final = 100_000_000
PER_ENTRY: Final = 600
MANY: Final = limits.MAX_ENTRIES
PATIENCE: Final = 600.0

Make = Callable[[int], Entry]


def _wide(number: int) -> Entry:
    return Entry(f"{number:08}" + "a" * 234 + "\U0001f389" + "/f", size=0)


def _levels(number: int) -> Entry:
    return Entry("/".join([f"{number:07}", *["a"] * 124]), size=0)


def _ordinary(number: int) -> Entry:
    digits = f"{number:06}"
    return Entry(
        "/".join(["root", "pkg", *digits, "dir", "more", "sub"])
        + f"/name{digits}.py".ljust(60 - 34, "x"),
        size=1,
    )


KINDS: Final[dict[str, tuple[int, Make]]] = {
    "ordinary": (MANY, _ordinary),
    "long": (MANY, lambda n: Entry(f"{n:08}/" + "b" * 247, size=0)),
    "wide": (MANY, _wide),
    "longest": (
        2000,
        lambda n: Entry("/".join([f"{n:08}", *["c" * 250] * 16, "\U0001f389"]), size=0),
    ),
    "deep": (MANY, _levels),
    "folders": (MANY, lambda n: Entry(f"{n:08}/" + "d" * 247, Kind.DIRECTORY)),
    "hidden": (MANY, lambda n: Entry(f".{n:08}" + "e" * 240, size=0)),
    "refused": (MANY, lambda n: Entry(f"../{n:08}" + "f" * 240, size=0)),
    "duplicates": (MANY, lambda n: Entry("same" + "g" * 250, size=0)),
    "links": (MANY, lambda n: Entry(f"{n:08}" + "h" * 119, Kind.LINK, target="i" * 120)),
    "texts": (MANY, lambda n: Entry(f"{n:08}" + "j" * 247, Kind.TEXT, size=0)),
    "sparse": (MANY, lambda n: Entry(f"{n:08}/" + "k" * 247, size=1, stored=0, mtime=n)),
}
"Name -> how many entries, and one of them."


class Victim:
    """A receiver, and its peak memory."""

    def __init__(self, folder: Path, *, json: bool) -> None:
        arguments = ["receive", "-o", str(folder), "--no-page"]
        arguments += ["-y", "--json"] if json else ["--qr", "none"]
        ours, theirs = os.openpty()
        out = subprocess.PIPE if json else theirs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dcsend", *arguments],
            stdin=theirs,
            stdout=out,
            stderr=theirs,
            env={**os.environ, "DCSEND_ADDRESS": "127.0.0.1", "DCSEND_STUN": "none"},
        )
        os.close(theirs)
        self.shown = bytearray()
        self.asked = threading.Event()
        self._news = threading.Condition()
        for descriptor in (ours, *([self.process.stdout.fileno()] if self.process.stdout else [])):
            threading.Thread(target=self._read, args=(descriptor,), daemon=True).start()

    def _read(self, descriptor: int) -> None:
        try:
            while data := os.read(descriptor, 1 << 20):
                with self._news:
                    self.shown = (self.shown + data)[-(1 << 20) :]
                    if b"accept and" in self.shown[-5000:]:
                        self.asked.set()
                    self._news.notify_all()
        except OSError:
            return

    def code(self) -> str:
        """Return the code that is shown."""
        pattern = re.compile(rb"\bdc0[0-9a-z]{90,}\b(?=[^0-9a-z])")
        with self._news:
            self._news.wait_for(lambda: pattern.search(self.shown), PATIENCE)
            found = pattern.search(self.shown)
        assert found
        return found[0].decode()

    @property
    def peak(self) -> int:
        """Bytes."""
        return peak(self.process.pid)


def peak(process: int) -> int:
    """Return the peak memory of a process, in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line for line in lines if line.startswith("VmHWM")]
    return int(found[0].split()[1]) * 1024 if found else 0


def messages(count: int, make: Make) -> Iterator[str]:
    """Yield the texts that offer *count* entries."""
    return map(encode, split_manifest(map(make, range(count))))


async def put(channel: Channel, message: str) -> None:
    """Send, waiting for room."""
    while not channel.send(message):
        await channel.writable()


async def offer(victim: Victim, count: int, make: Make, *, json: bool) -> str:
    """Offer a manifest; return the end, or that the question is shown."""
    there = decode_code(victim.code())
    connection = await dial(
        [(address.host, address.port) for address in there.addresses],
        password=ice_password(there.secret),
        fingerprint=there.fingerprint,
        timeout=30,
        make=transfer_peer,
    )
    control, text = connection.channels["control"], connection.channels["text"]

    async def beat() -> None:
        while True:
            await asyncio.sleep(3)
            text.send("x" * 15)

    beating = asyncio.create_task(beat())
    try:
        await put(control, encode(Hello((1,), "bench", "sender")))
        for message in messages(count, make):
            await put(control, message)
            await asyncio.sleep(0)
        if not json:
            asked = await asyncio.to_thread(victim.asked.wait, PATIENCE)
            return "asked" if asked else "never asked"
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = decode(str(await control.receive()))
                if isinstance(answer, Cancel | Complete):
                    return type(answer).__name__
                if type(answer).__name__ in ("Accept", "Decline") and getattr(answer, "last", True):
                    return type(answer).__name__
    except DcsendError as error:
        return f"{error}"[:60]
    finally:
        beating.cancel()
        await connection.close()


def measure(name: str, most_entries: int, *, json: bool) -> bool:
    """Print a row; return whether the memory is within the limit."""
    count, make = KINDS[name]
    count = min(count, most_entries)
    with tempfile.TemporaryDirectory() as folder:
        victim = Victim(Path(folder), json=json)
        began = time.monotonic()
        try:
            ended = asyncio.run(offer(victim, count, make, json=json))
            most = victim.peak
        finally:
            victim.process.kill()
            victim.process.wait()
    allowed = BASE + PER_ENTRY * count
    way = "--json -y" if json else "terminal"
    print(
        f"{name:<11} {way:<9} {count:>8} {most / 1e6:>7.0f} MB, allowed {allowed / 1e6:>4.0f} MB,"
        f" {time.monotonic() - began:>5.1f} s, {ended}",
        flush=True,
    )
    return 0 < most <= allowed


def main() -> int:
    """Measure the named manifests, or all."""
    arguments = sys.argv[1:]
    most = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else MANY
    names = arguments or list(KINDS)
    kept = [measure(name, most, json=json) for name in names for json in (False, True)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
