"""A receiver that stays, under many transfers with faults: memory, descriptors and threads.

    python -m tests.endurance [--transfers 10000] [--at-once 6] [--report docs/endurance.md]

The receiver is a program (`dcsend receive --keep -y`) with real sockets and files. The senders are
tasks of this process, and some are programs. A seed chooses what each of them does: most send some
small files, others have a wrong code, offer too much, connect and send nothing, are cancelled, cut
off by their network, or killed; those at the beginning are all complete. Each file that has a final
name is compared with what was sent.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import dcsend
from dcsend.errors import DcsendError
from dcsend.signaling.dialcode import Address, decode
from tests.support.peers import LOCAL, Relay
from tests.support.processes import Stage

__all__ = ["Run", "Sample", "carry_out"]

MIB: Final = 1 << 20
_MOST: Final = 8_000_000
"Bytes of one offer that the receiver accepts."
_WARM: Final = 0.05
"Share of the transfers after which the first figures are taken."
_QUIET: Final = 90.0
"Seconds for the last senders to be given up."
_SETTLED: Final = 2.0
"The same after transfers that are complete."
_SLOWLY: Final = 2_000_000
"Bytes per second of a sender that is ended in the middle."
_KINDS: Final = {
    "complete": 760,
    "wrong code": 60,
    "refused": 60,
    "silent": 30,
    "cancelled": 60,
    "cut": 20,
    "killed": 10,
}
"How often each is chosen, of 1000."


@dataclass(frozen=True)
class Sample:
    """What the receiver uses at one moment."""

    transfers: int
    memory: float
    "Resident, MiB."
    descriptors: int
    threads: int


@dataclass
class Run:
    """What has been done, and what the receiver has used."""

    kinds: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    "Last events of senders at the receiver, by kind of error."
    faults: list[str] = field(default_factory=list)
    files: int = 0
    seconds: float = 0.0
    status: int = -1
    "Exit status of the receiver."


class _Receiver:
    """The program."""

    def __init__(self, folder: Path, *, reconnect: str) -> None:
        self.inbox = folder / "inbox"
        self._events = (folder / "events").open("w+b")
        command = (
            *(sys.executable, "-m", "dcsend", "receive", "--keep", "-y", "--min-free", "50M"),
            *("--max-peer", str(_MOST), "-o", str(self.inbox), "--json", "--no-page", "--no-mdns"),
            *("--stun", "none", "--address", LOCAL, "--reconnect", reconnect, "--no-inhibit"),
        )
        self.process = subprocess.Popen(
            command, stdout=self._events, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._read = open(self._events.name, "rb")  # noqa: SIM115 - closed with the receiver
        self.code = ""
        self.done: dict[str, Any] = {}

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events since the last call."""
        for line in self._read:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "done":
                self.done = event
            yield event

    def sample(self, transfers: int) -> Sample:
        """Measure."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines())
        return Sample(
            transfers,
            int(values["VmRSS"].split()[0]) / 1024,
            len(os.listdir(f"/proc/{self.process.pid}/fd")),
            int(values["Threads"]),
        )

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self._read.close()
        self._events.close()


class _Senders:
    """What the senders do, and what they have sent."""

    def __init__(
        self, receiver: _Receiver, folder: Path, seed: int, stage: Stage, without: Collection[str]
    ) -> None:
        self._receiver = receiver
        self._folder = folder
        self._chance = random.Random(seed)
        self._without = without
        self._stage = stage
        self._kinds: dict[str, Callable[[int, Path], Coroutine[Any, Any, None]]] = {
            "complete": self._complete,
            "wrong code": self._wrong,
            "refused": self._refused,
            "silent": self._silent,
            "cancelled": self._cancelled,
            "cut": self._cut,
            "killed": self._killed,
        }

    async def one(self, number: int, run: Run, *, is_complete: bool) -> None:
        """Carry out one."""
        (kind,) = self._chance.choices(list(_KINDS), list(_KINDS.values()))
        if is_complete or kind in self._without:
            kind = "complete"
        place = self._folder / str(number)
        place.mkdir()
        for name, size in self._names(number, kind):
            (place / name).write_bytes(content(name, size))
        try:
            async with asyncio.timeout(120):
                await self._kinds[kind](number, place)
        except (AssertionError, DcsendError, TimeoutError) as error:
            run.faults.append(f"{number}, {kind}: {error!r}")
        finally:
            shutil.rmtree(place, ignore_errors=True)
        run.kinds[kind] += 1

    def _names(self, number: int, kind: str) -> list[tuple[str, int]]:
        if kind in ("cancelled", "cut", "killed"):
            return [(f"{number}-0.bin", 3 * MIB)]
        most = self._chance.choice([100, 5_000, 200_000])
        count = self._chance.randrange(1, 5)
        return [(f"{number}-{n}.bin", self._chance.randrange(most)) for n in range(count)]

    async def _send(self, place: Path, code: str = "", limit: float | None = None) -> bool:
        settings = dcsend.Settings(stun=(), reconnect=0.0, connect_timeout=30, limit_rate=limit)
        paths = [place / name for name in os.listdir(place)]
        code = code or self._receiver.code
        return (await dcsend.send(paths, to=code, settings=settings)).ok

    async def _complete(self, number: int, place: Path) -> None:
        assert await self._send(place)

    async def _wrong(self, number: int, place: Path) -> None:
        code = decode(self._receiver.code)
        wrong = replace(code, secret=bytes(len(code.secret))).text()
        await self._fails(place, wrong)

    async def _refused(self, number: int, place: Path) -> None:
        with (place / "large").open("wb") as file:
            file.truncate(_MOST + 1)
        await self._fails(place)

    async def _fails(self, place: Path, code: str = "") -> None:
        try:
            await self._send(place, code)
        except DcsendError:
            return
        raise AssertionError("it was accepted")

    async def _silent(self, number: int, place: Path) -> None:
        """Connect, send no Hello, and leave."""
        from tests.support.scripted_peer import dialing

        async with dialing(self._receiver.code):
            await asyncio.sleep(self._chance.random())

    async def _cancelled(self, number: int, place: Path) -> None:
        """Leave at a random moment, in order."""
        sending = asyncio.create_task(self._send(place, limit=_SLOWLY))
        await asyncio.wait({sending}, timeout=self._chance.random() * 2)
        await _end(sending)

    async def _cut(self, number: int, place: Path) -> None:
        """Lose the network in the middle."""
        code = decode(self._receiver.code)
        left, is_cut = self._chance.randrange(5_000, 2 * MIB), asyncio.Event()

        def passes(data: bytes) -> bool:
            nonlocal left
            left -= len(data)
            if left <= 0:
                is_cut.set()
            return left > 0

        async with Relay.open(code.port) as relay:
            relay.passes = passes
            own = replace(code, port=relay.port, addresses=(Address(LOCAL, relay.port),)).text()
            sending = asyncio.create_task(self._send(place, own, limit=_SLOWLY))
            cut = asyncio.create_task(is_cut.wait())
            await asyncio.wait({sending, cut}, return_when=asyncio.FIRST_COMPLETED)
            await _end(sending)
            await _end(cut)

    async def _killed(self, number: int, place: Path) -> None:
        """Be a program that is killed."""

        def work() -> None:
            (path,) = place.iterdir()
            program = self._stage.send(path, "--to", self._receiver.code, "--limit-rate", "500K")
            try:
                program.event("progress")
            finally:
                program.kill()

        await asyncio.to_thread(work)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def content(name: str, size: int) -> bytes:
    """Return the bytes of a file; its name and size determine them."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def _check(receiver: _Receiver, run: Run) -> None:
    """Compare what has a final name, and remove it."""
    for event in receiver.events():
        if event["event"] in ("sender_done", "left"):
            run.ends[str(event["kind"] or "complete")] += 1
        elif event["event"] == "file" and event["ok"]:
            path = Path(event["saved"])
            name = path.name.replace(" (1)", "")
            if path.read_bytes() != content(name, event["bytes"]):
                run.faults.append(f"{name} differs")
            path.unlink()
            run.files += 1


async def _quiet(receiver: _Receiver, run: Run, transfers: int) -> Sample:
    """Measure when the last senders have been given up, or when that takes too long."""
    first = run.samples[0] if run.samples else None
    until = time.monotonic() + (_SETTLED if first is None else _QUIET)
    while True:
        await asyncio.sleep(1.0)
        _check(receiver, run)
        now = receiver.sample(transfers)
        if first is not None and _fits(now, first):
            return now
        if time.monotonic() > until:
            return now


def _fits(now: Sample, first: Sample) -> bool:
    return now.threads <= first.threads and now.descriptors <= first.descriptors


async def carry_out(
    transfers: int,
    at_once: int,
    *,
    seed: int = 1,
    without: Collection[str] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Run:
    """Run all transfers against one receiver.

    Args:
        transfers: number of senders.
        at_once: number of them at a time.
        seed: chooses what each does.
        without: kinds that are left out.
        say: gets a line of progress.
    """
    run, began = Run(), time.monotonic()
    with tempfile.TemporaryDirectory() as name, Stage() as stage, contextlib.ExitStack() as stack:
        receiver = _Receiver(Path(name), reconnect="3s")
        stack.callback(receiver.close)
        while not receiver.code:
            codes = (event["code"] for event in receiver.events() if event["event"] == "code")
            receiver.code = next(codes, "")
            await asyncio.sleep(0.05)
        senders = _Senders(receiver, Path(name), seed, stage, without)
        warm, every = max(10, int(transfers * _WARM)), max(10, transfers // 20)
        await _several(senders, run, range(1, warm + 1), at_once, is_complete=True)
        run.samples.append(await _quiet(receiver, run, warm))
        for begin in range(warm, transfers, every):
            end = min(begin + every, transfers)
            await _several(senders, run, range(begin + 1, end + 1), at_once, is_complete=False)
            _check(receiver, run)
            run.samples.append(receiver.sample(end))
            seconds = time.monotonic() - began
            say(f"{seconds:.0f} s, {run.samples[-1]}, {len(run.faults)} faults")
        run.samples.append(await _quiet(receiver, run, transfers))
        run.seconds = time.monotonic() - began
        receiver.process.terminate()
        run.status = await asyncio.to_thread(receiver.process.wait, 30)
        _check(receiver, run)
        complete = receiver.done["senders"]["complete"]
        if complete < run.kinds["complete"]:
            run.faults.append(f"{complete} of {run.kinds['complete']} are complete")
    return run


async def _several(
    senders: _Senders, run: Run, numbers: range, at_once: int, *, is_complete: bool
) -> None:
    """Carry out some transfers, at most *at_once* at a time."""
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> None:
        async with places:
            await senders.one(number, run, is_complete=is_complete)

    await asyncio.gather(*map(one, numbers))


def report(run: Run, at_once: int) -> str:
    """Return the document."""
    kinds = "\n".join(f"| {kind} | {run.kinds[kind]} |" for kind in _KINDS)
    rows = "\n".join(
        f"| {one.transfers} | {one.memory:.1f} | {one.descriptors} | {one.threads} |"
        for one in run.samples
    )
    faults = "".join(f"* {fault}\n" for fault in run.faults) + "\n" if run.faults else ""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"""# A receiver that stays, under many transfers

`make endurance` runs one `dcsend receive --keep -y` and many senders over loopback, {at_once} at
once, with faults mixed in (`tests/endurance.py`). Each file that has a final name is compared with
what was sent.

Last run: {day}, {os.cpu_count()} cores, {run.kinds.total()} senders in {run.seconds / 60:.0f} min,
{run.files} files compared, exit status {run.status}, {len(run.faults)} faults.

{faults}| sender | number |
|---|--:|
{kinds}

* complete: one to four files of up to 200 KB.
* refused: the offer exceeds `--max-peer`.
* silent: it connects and sends no Hello.
* cancelled, cut, killed: a file of 3 MiB, ended at a random moment by the sender, by a lost
  network, by SIGKILL.

| after | memory, MiB | descriptors | threads |
|--:|--:|--:|--:|
{rows}

Without a sender: the first and the last row. The others are of a moment in the middle: senders that
were cut or killed are given up after 30 s of silence and `--reconnect`, here 3 s.

With the number of senders grow only the transaction ids of the checks that were handled, by which a
copy is recognised: 0.4 KB for each sender, up to 7 MB.
"""


def main() -> int:
    """Run the command line; return 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance")
    parser.add_argument("--transfers", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)  # noqa: T201 - a command line

    run = asyncio.run(carry_out(given.transfers, given.at_once, seed=given.seed, say=say))
    text = report(run, given.at_once)
    say(text)
    say(f"{run.ends}")
    for fault in run.faults:
        say(fault)
    if given.report is not None:
        given.report.write_text(text, encoding="utf-8")
    return 1 if run.faults or run.status else 0


if __name__ == "__main__":
    sys.exit(main())
