"""How soon a large part goes on, and what verifying it costs.

    python -m bench.resuming [--rounds 9] [--gigabytes 10] [--megabytes 300] [--rate 100]

Two measurements; each prints its rounds and medians:

first byte   a sparse file of 100 GB, of which the receiver has a part with a journal, over
             loopback: milliseconds from Accept until the first new frame, and until it is written
beside       a file of random bytes, of which the receiver has all but the last megabytes, over a
             cable with a rate in Mbit/s (tc, tbf): the rate while both sides verify the part, as a
             part of the rate of a new file of these megabytes; the order changes each round

The second one needs Linux, root, iproute2, and room for the file twice (--gigabytes 0: none).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.files import random_file, workshop
from bench.hosts import cable
from bench.results import MEGABYTE
from dcsend.files.journal import INTERVAL
from tests.support.netns import Host
from tests.support.processes import Program, Stage

__all__ = ["main"]

_SPARSE: Final = 100 * 10**9
_END: Final = 32 << 20
"Bytes of the sparse file that the receiver does not have; they are random."
_NAME: Final = "disk.img"
_PATIENCE: Final = 600.0

_NOTING: Final = """
import sys, time
from dcsend.files.part import PartFile
from dcsend.protocol.receiver import Receiver

def note(owner, name):
    call = getattr(owner, name)
    def noted(*args, **kwargs):
        try:
            return call(*args, **kwargs)
        finally:
            sys.stderr.write(f"@{name} {time.monotonic()} {time.process_time()}\\n")
            setattr(owner, name, call)
    setattr(owner, name, noted)

note(Receiver, "accept")
note(Receiver, "receive_frame")
note(PartFile, "write")
"""
"Runs in the receiver: the time of the first call of each, and the processor time until then."


@dataclass(frozen=True, slots=True)
class _Part:
    """What a receiver has of a file."""

    source: Path
    output: Path
    start: int
    "Bytes."
    journal: str

    def reset(self) -> None:
        """Make the part, or make it again of the complete file."""
        final = self.output / self.source.name
        part = final.with_name(f"{final.name}.dcsend-part")
        if final.exists():
            final.rename(part)
        with part.open("ab") as file:
            file.truncate(self.start)
        part.with_name(f"{final.name}.dcsend-journal").write_text(self.journal, encoding="utf-8")


def _journal(source: Path, lines: Iterator[dict[str, int | str]]) -> str:
    status = source.stat()
    file: dict[str, int | str] = {
        "path": source.name,
        "size": status.st_size,
        "mtime": status.st_mtime_ns // 1000,
    }
    head: dict[str, int | str] = {"v": 1, "manifest": "0" * 64, **file}
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [head, *lines])


def _sparse(folder: Path) -> _Part:
    source, start = folder / "source" / _NAME, (_SPARSE - _END) // INTERVAL * INTERVAL
    source.parent.mkdir()
    (folder / "output").mkdir()
    with source.open("wb") as file:
        file.seek(start)
        file.write(os.urandom(_SPARSE - start))

    def lines() -> Iterator[dict[str, int | str]]:
        digest = hashlib.sha256(bytes(INTERVAL)).hexdigest()
        yield {"offset": INTERVAL, "sha256": digest}
        for before in range(INTERVAL, start, INTERVAL):
            yield {"offset": before + INTERVAL, "from": before, "sha256": digest}

    return _Part(source, folder / "output", start, _journal(source, lines()))


def _real(folder: Path, size: int, more: int) -> _Part:
    start = size // INTERVAL * INTERVAL
    source = random_file(folder / "source" / _NAME, start + more)

    def lines() -> Iterator[dict[str, int | str]]:
        hasher = hashlib.sha256()
        with source.open("rb") as file:
            for offset in range(INTERVAL, start + 1, INTERVAL):
                hasher.update(file.read(INTERVAL))
                yield {"offset": offset, "sha256": hasher.hexdigest()}

    shutil.copyfile(source, folder / "output" / _NAME)
    return _Part(source, folder / "output", start, _journal(source, lines()))


# --- the first byte


def _first_byte(part: _Part) -> tuple[float, float, float]:
    """Return the milliseconds from Accept to the first frame, and until that is written.

    The third number is the processor time of the receiver in between.
    """
    part.reset()
    with Stage() as stage:
        sender = stage.send(part.source, cold=True)
        receiver = stage.receive(sender.code, part.output, before=_NOTING)
        receiver.until_shown(b"@write ")
        lines = [line.split() for line in receiver.shown.decode().splitlines() if line[:1] == "@"]
    times = {name[1:]: (float(when), float(used)) for name, when, used in lines}
    accept, used = times["accept"]
    written, used_then = times["write"]
    frame, _ = times["receive_frame"]
    return 1000 * (frame - accept), 1000 * (written - accept), 1000 * (used_then - used)


def _first_bytes(rounds: int) -> None:
    text = "first frame after {:.1f} ms, written after {:.1f} ms, processor {:.1f} ms"
    found: list[tuple[float, float, float]] = []
    with workshop(2 * _END) as folder:
        part = _sparse(folder)
        for _ in range(rounds):
            found.append(_first_byte(part))
            _say(text.format(*found[-1]))
    _say(f"medians: {text.format(*map(statistics.median, zip(*found, strict=True)))}")


# --- beside a transfer


@contextmanager
def _line(rate: float) -> Iterator[tuple[Host, Host]]:
    """Make two hosts on a cable of *rate* Mbit/s."""
    with cable() as hosts:
        ends = (hosts.left, hosts.left_address), (hosts.right, hosts.right_address)
        for namespace, _ in ends:
            limit = f"tc qdisc add dev eth0 root tbf rate {rate:g}mbit burst 32kb latency 50ms"
            subprocess.run(["ip", "netns", "exec", namespace, *limit.split()], check=True)
        left, right = (Host(namespace, address, "") for namespace, address in ends)
        yield left, right


def _rate(source: Path, output: Path, line: tuple[Host, Host]) -> tuple[float, float]:
    """Transfer a file; return MB/s between the first and the last new byte, and all seconds."""
    began = time.monotonic()
    with Stage() as stage:
        sender = stage.send(source, host=line[0], cold=True)
        receiver = stage.receive(sender.code, output, host=line[1], cold=True)
        _end(receiver)
        _end(sender)
        steps = receiver.steps()
    steps = [step for step in steps if step[1] < source.stat().st_size]
    (first, least), (last, most) = steps[0], steps[-1]
    return (most - least) / (last - first) / MEGABYTE, time.monotonic() - began


def _end(program: Program) -> None:
    ended = program.end(_PATIENCE)
    assert ended.status == 0, ended.events[-2:]


def _beside(rounds: int, size: int, more: int, rate: float) -> None:
    ratios: list[float] = []
    with workshop(2 * size + 3 * more) as folder, _line(rate) as line:
        for name in ("source", "output", "new"):
            (folder / name).mkdir()
        part = _real(folder, size, more)
        fresh = random_file(folder / "fresh", more)
        for number in range(rounds):
            rates: dict[str, tuple[float, float]] = {}
            for kind in ("new", "continued")[:: 1 if number % 2 else -1]:
                if kind == "new":
                    (folder / "new" / fresh.name).unlink(missing_ok=True)
                    rates[kind] = _rate(fresh, folder / "new", line)
                else:
                    part.reset()
                    rates[kind] = _rate(part.source, part.output, line)
            ratios.append(rates["continued"][0] / rates["new"][0])
            shown = ", ".join(f"{k} {r:.2f} MB/s in {s:.0f} s" for k, (r, s) in rates.items())
            _say(f"{shown}: {ratios[-1]:.3f}")
    _say(f"median of the ratios: {statistics.median(ratios):.3f}")


def _say(text: str) -> None:
    load = os.getloadavg()[0]
    sys.stdout.write(f"{text} (load {load:.0f})\n")
    sys.stdout.flush()


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(prog="python -m bench.resuming")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--gigabytes", type=float, default=10.0)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rate", type=float, default=100.0)
    options = parser.parse_args()
    os.environ |= {"DCSEND_STUN": "none", "DCSEND_NO_PAGE": "1"}
    _first_bytes(options.rounds)
    if options.gigabytes:
        size, more = int(options.gigabytes * 1e9), options.megabytes * MEGABYTE
        _beside(options.rounds, size, more, options.rate)


if __name__ == "__main__":
    main()
