"""Transfers with Debian's Pion, whose SCTP (1.8.6) does not implement RFC 9653.

A Go program carries the messages, and `scripted_peer` makes and reads them.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

from dcsend.entry import Entry, Kind
from dcsend.errors import ConnectionFailed
from dcsend.peers.contract import Connection
from dcsend.protocol.messages import Complete, Verdict
from dcsend.signaling import blob
from tests.support.demo_peers import LineProgram, Programs
from tests.support.processes import PATIENCE
from tests.support.scripted_peer import Peer

LABELS = ("control", "data", "text")
CONTENT = bytes(range(256)) * 2000
_MESSAGE = re.compile(r"^Message from DataChannel '(\w+)': (?:'(.*)'|\d+ bytes (\w*))$")


class _Channel:
    """One channel of the Go program."""

    def __init__(self, program: LineProgram, label: str) -> None:
        self._program = program
        self._label = label
        self._taken = 0

    def send(self, message: bytes | str) -> bool:
        if isinstance(message, str):
            self._program.write_line(f"say {self._label} {message}")
        else:
            self._program.write_line(f"bytes {self._label} {message.hex()}")
        return True

    async def receive(self) -> bytes | str:
        self._taken += 1
        # Pion's connection fails 30 s after its channels have closed.
        closed = rf"^Data channel '{self._label}'-'\d+' closed$|gone to \w+ exiting"
        pattern = rf"^Message from DataChannel '{self._label}': |{closed}"
        line = await asyncio.to_thread(
            self._program.until, rf"^.*(?:{pattern}).*$", count=self._taken, seconds=PATIENCE
        )
        if (found := _MESSAGE.match(line[0])) is None:
            raise ConnectionFailed("Pion's connection has ended")
        return bytes.fromhex(found[3]) if found[2] is None else found[2]


def dcsend(programs: Programs, *arguments: str | Path) -> LineProgram:
    return programs.run(
        *(sys.executable, "-m", "dcsend", *arguments), *("--signal", "sdp", "--json")
    )


async def description(ours: LineProgram) -> str:
    """Return what dcsend shows, in the form that Pion reads."""
    line = await asyncio.to_thread(ours.until, r'^.*"event": ?"description".*$')
    return blob.encode_json(blob.decode(json.loads(line[0])["text"]))


async def scripted(theirs: LineProgram) -> Peer:
    for label in LABELS:
        await asyncio.to_thread(theirs.until, rf"^Data channel '{label}'-'\d+' open")
    channels = {label: _Channel(theirs, label) for label in LABELS}
    return Peer(typing.cast(Connection, SimpleNamespace(channels=channels)))


async def test_pion_receives_a_file(programs: Programs, pion: Path, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(CONTENT)
    ours = dcsend(programs, "send", tmp_path / "film")
    theirs = programs.run(pion, "-interval", "1h")
    theirs.write_line(await description(ours))
    ours.write_line(await asyncio.to_thread(theirs.description))
    peer = await scripted(theirs)
    assert [entry.path for entry in await peer.accept()] == ["film"]
    while len(peer.content(0)) < len(CONTENT):
        await peer.next_frame()
        await peer.acknowledge()
    assert peer.content(0) == CONTENT
    await peer.send_control(Verdict(((0, "ok"),)), Complete(True, 1, len(CONTENT)))
    assert await asyncio.to_thread(ours.end) == 0


async def test_pion_sends_a_file(programs: Programs, pion: Path, tmp_path: Path) -> None:
    theirs = programs.run(pion, "-offer", "-label", "control", "-interval", "1h")
    ours = dcsend(programs, "receive", "-o", tmp_path, "-y")
    ours.write_line(await asyncio.to_thread(theirs.description))
    theirs.write_line(await description(ours))
    for label in LABELS[1:]:
        theirs.write_line(f"channel {label}")
    peer = await scripted(theirs)
    await peer.offer(Entry("film", Kind.FILE, len(CONTENT)))
    await peer.send(0, CONTENT)
    await peer.finish()
    assert await asyncio.to_thread(ours.end) == 0
    assert (tmp_path / "film").read_bytes() == CONTENT
