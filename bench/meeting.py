"""From Enter to connected: short codes of dcsend beside magic-wormhole and wormhole-william.

    python -m bench.meeting [--rounds 7] [--program NAME …]

A sender shows a code and waits, until the mailbox server has its first message; then the receiver
is started with the code, which is Enter. "At the prompt", the receiver runs in a terminal, has
connected to the server, and the code is written to it. All use the same mailbox server, on the host
of the sender, so a round trip to it is one of the path. Both are timed: the connection, and a file
of `SIZE` bytes that is saved. Prints how long each takes relative to the first. Writes
build/bench/meeting.json; about 3 minutes by default.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from bench import results
from bench.contenders.base import always
from bench.contenders.servers import (
    PROGRAMS,
    clients,
    database,
    mailbox,
    mute_relay,
    no_magic,
    no_william,
)
from bench.contenders.whole import ENVIRONMENT, PROGRAM
from bench.emulation import Hosts, joined, requirements
from bench.files import random_file, workshop
from bench.hosts import cable
from bench.paths import GRID
from bench.running import Failed, Running
from tests.support.certificates import self_signed

__all__ = ["SIZE", "main"]

SIZE: Final = 1000
"Bytes of the file: it fits in one packet."

_PATIENCE: Final = 20.0
"Seconds for each step."
_AT_PROMPT: Final = 3.0
"""Seconds from the connection of the receiver until the code is entered; it loads its modules
meanwhile, and a person types."""
_TERMINAL: Final = (
    sys.executable,
    "-c",
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
)
"Runs a command in a terminal, with its own standard input and output as the person."
_LOOK: Final = 0.002
"Seconds between two looks at a file or at the database of the server."


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds after the start of the receiver."""

    connected: float
    saved: float


@dataclass(frozen=True, slots=True)
class Setting:
    """Where one meeting takes place."""

    hosts: Hosts
    url: str
    "Of the mailbox server."
    database: FilePath
    "Of the mailbox server."
    source: FilePath
    "The file to send."
    inbox: FilePath
    "An empty folder to save it in."
    environment: dict[str, str]
    "Of dcsend."

    @property
    def saved(self) -> FilePath:
        """The file as the receiver names it."""
        return self.inbox / self.source.name


def _dcsend(setting: Setting, *options: str, posted: bool = True) -> Times:
    hosts = setting.hosts
    send = (*PROGRAM, "send", str(setting.source), "--json", *options)
    with Running(Hosts.on(hosts.left, *send), environment=setting.environment) as sender:
        line, _ = sender.until('"event": ?"short_code"', _PATIENCE)
        code = json.loads(line.text)["code"]
        if posted:
            _wait_for_message(setting.database)
        receive = (*PROGRAM, "receive", code, "-o", str(setting.inbox), "-y", "--json", *options)
        with _entered(setting, *receive) as (receiver, start):
            connected, _ = receiver.until('"event": ?"connected"', _PATIENCE)
            return Times(connected.at - start, _saved(setting, receiver) - start)


def _dcsend_server(setting: Setting) -> Times:
    return _dcsend(setting, "--server", setting.url, "--no-mdns")


def _prompt(setting: Setting, *options: str, posted: bool = True) -> Times:
    hosts = setting.hosts
    send = (*PROGRAM, "send", str(setting.source), "--json", *options)
    receive = (*_TERMINAL, *PROGRAM, "receive", "-o", str(setting.inbox), "-y", *options)
    with (
        Running(Hosts.on(hosts.left, *send), environment=setting.environment) as sender,
        Running(Hosts.on(hosts.right, *receive), environment=setting.environment) as receiver,
    ):
        line, _ = sender.until('"event": ?"short_code"', _PATIENCE)
        if posted:
            _wait_for_message(setting.database)
            # The receiver has two: it shows a code, too.
            _seen(receiver, lambda: clients(hosts) == 3)
        time.sleep(_AT_PROMPT)
        start = time.monotonic()
        receiver.write_line(json.loads(line.text)["code"])
        # What the receiver shows in a terminal has no lines to wait for.
        connected, _ = sender.until('"event": ?"connected"', _PATIENCE)
        return Times(connected.at - start, _saved(setting, receiver) - start)


def _dcsend_prompt(setting: Setting) -> Times:
    return _prompt(setting, "--server", setting.url, "--no-mdns")


def _dcsend_local(setting: Setting) -> Times:
    return _dcsend(setting, "--server", "none", posted=False)


def _dcsend_local_prompt(setting: Setting) -> Times:
    return _prompt(setting, "--server", "none", posted=False)


def _magic(setting: Setting) -> Times:
    # An empty name means no relay.
    tool = (str(PROGRAMS / "wormhole"), "--relay-url", setting.url, "--transit-helper", "")
    send = (*tool, "send", "--hide-progress", "--no-qr", str(setting.source))
    with Running(Hosts.on(setting.hosts.left, *send), errors=True) as sender:
        _, code = sender.until(r"^Wormhole code is: (\S+)", _PATIENCE)
        _wait_for_message(setting.database)
        receive = (*tool, "receive", "--hide-progress", "--accept-file")
        target = ("-o", str(setting.saved), code[1])
        with _entered(setting, *receive, *target) as (receiver, start):
            connected, how = receiver.until(r"^Receiving \((.*)\)", _PATIENCE)
            if "relay" in how[1]:
                raise receiver.failure(f"isn't direct but {how[1]}")
            return Times(connected.at - start, _saved(setting, receiver) - start)


def _william(setting: Setting) -> Times:
    tool = ("wormhole-william", "--relay-url", setting.url)
    send = (*tool, "send", "--hide-progress", str(setting.source))
    with (
        mute_relay(setting.hosts),
        Running(Hosts.on(setting.hosts.left, *send), errors=True) as sender,
    ):
        _, code = sender.until(r"^Wormhole code is: (\S+)", _PATIENCE)
        _wait_for_message(setting.database)
        # It saves in the current folder, and asks first.
        receive = ("env", "-C", str(setting.inbox), *tool, "receive", "--hide-progress", code[1])
        with _entered(setting, *receive) as (receiver, start):
            receiver.until("^Receiving file", _PATIENCE)
            receiver.write_line("y")
            # It prints nothing when it is connected.
            first = _seen(receiver, lambda: _any_bytes(setting.inbox))
            return Times(first - start, _saved(setting, receiver) - start)


@contextmanager
def _entered(setting: Setting, *argv: str) -> Iterator[tuple[Running, float]]:
    """Start a receiver; yield it and the moment before."""
    command = Hosts.on(setting.hosts.right, *argv)
    start = time.monotonic()
    with Running(command, environment=setting.environment, errors=True) as receiver:
        yield receiver, start


def _saved(setting: Setting, receiver: Running) -> float:
    """Return when the file had its name and size."""

    def whole() -> bool:
        with contextlib.suppress(FileNotFoundError):
            return setting.saved.stat().st_size == SIZE
        return False

    return _seen(receiver, whole)


def _any_bytes(folder: FilePath) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_size for path in folder.iterdir())
    return False


def _seen(receiver: Running, there: Callable[[], bool]) -> float:
    """Return when *there* was true for the first time; `Failed` if it was not in time."""
    over = time.monotonic() + _PATIENCE
    while time.monotonic() < over:
        if there():
            return time.monotonic()
        time.sleep(_LOOK)
    raise receiver.failure("has saved nothing")


def _wait_for_message(file: FilePath) -> None:
    """Return when the mailbox server has a message, the first one of the sender."""
    over = time.monotonic() + _PATIENCE
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as channels:
        while time.monotonic() < over:
            if channels.execute("SELECT count(*) FROM messages").fetchone()[0]:
                return
            time.sleep(_LOOK)
    raise Failed("the sender has posted no message")


@dataclass(frozen=True, slots=True)
class _Program:
    measure: Callable[[Setting], Times]
    missing: Callable[[], str] = always
    cable_only: bool = False
    tls: bool = False
    "Whether the mailbox server has a certificate."


_PROGRAMS: Final = {
    "dcsend": _Program(_dcsend_server),
    "dcsend, TLS": _Program(_dcsend_server, tls=True),
    "dcsend at the prompt": _Program(_dcsend_prompt),
    "dcsend at the prompt, TLS": _Program(_dcsend_prompt, tls=True),
    "dcsend without a server": _Program(_dcsend_local, cable_only=True),
    "dcsend at the prompt without a server": _Program(_dcsend_local_prompt, cable_only=True),
    "magic-wormhole": _Program(_magic),
    "wormhole-william": _Program(_william, no_william),
}
_CABLE: Final = "a cable"


def _networks() -> dict[str, Callable[[int], AbstractContextManager[Hosts]]]:
    """Return what makes the hosts of a round, by title."""
    found: dict[str, Callable[[int], AbstractContextManager[Hosts]]] = {_CABLE: lambda _: cable()}
    path = GRID[0]
    found[str(path)] = lambda number: joined(path, seed=number + 1)
    return found


def _once(program: _Program, hosts: Hosts, folder: FilePath) -> Times:
    inbox = folder / "inbox"
    shutil.rmtree(inbox, ignore_errors=True)
    inbox.mkdir()
    source = random_file(folder / "small.bin", SIZE)
    certificate = self_signed(folder, hosts.left_address) if program.tls else None
    trust = {"SSL_CERT_FILE": str(certificate[0])} if certificate else {}
    with mailbox(hosts, folder, certificate) as url:
        setting = Setting(
            hosts, url, database(hosts, folder), source, inbox, {**ENVIRONMENT, **trust}
        )
        return program.measure(setting)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument(
        "--program", action="append", choices=tuple(_PROGRAMS), help="only this one"
    )
    chosen = parser.parse_args()
    if missing := requirements():
        raise SystemExit(f"an emulated path needs {', '.join(missing)}")
    if why := no_magic():  # its mailbox server is that of all
        raise SystemExit(why)
    where = results.conditions()
    names = []
    for name in chosen.program or _PROGRAMS:
        if why := _PROGRAMS[name].missing():
            print(f"without {name}: {why}")
        else:
            names.append(name)
    rows = []
    with workshop() as folder:
        for title, make in _networks().items():
            here = [one for one in names if title == _CABLE or not _PROGRAMS[one].cable_only]
            if not here:
                continue
            row = results.Row(title, {})
            row.extra = {name: {"connected_ms": [], "saved_ms": [], "failed": []} for name in here}
            for number in range(chosen.rounds):
                first = number % len(here)
                for name in (*here[first:], *here[:first]):
                    with make(number) as hosts:
                        _record(row, name, hosts, folder)
            rows.append(row)
            for name in here:
                connected, saved = (
                    results.Spread.of(row.extra[name][key]) for key in ("connected_ms", "saved_ms")
                )
                ratio = _ratio(row, name, here[0])
                print(
                    f"{title}, {name}: connected {connected} ms ({ratio}), saved {saved} ms",
                    flush=True,
                )
            # After each network, so that partial results can be read.
            results.save("meeting", where, vars(chosen), rows)


def _ratio(row: results.Row, name: str, first: str) -> str:
    """Return how long *name* takes until it is connected relative to *first*, by the medians."""
    times, base = (row.extra[one]["connected_ms"] for one in (name, first))
    if not times or not base:
        return "–"
    return f"× {statistics.median(times) / statistics.median(base):.2f}"


def _record(row: results.Row, name: str, hosts: Hosts, folder: FilePath) -> None:
    """Measure once, and add the milliseconds, or the reason of a failure, to *row*."""
    kept = row.extra[name]
    try:
        times = _once(_PROGRAMS[name], hosts, folder)
    except (Failed, TimeoutError) as error:
        print(f"{name} failed: {error}", flush=True)
        kept["failed"].append(str(error))
    else:
        kept["connected_ms"].append(round(times.connected * 1000, 1))
        kept["saved_ms"].append(round(times.saved * 1000, 1))


if __name__ == "__main__":
    main()
