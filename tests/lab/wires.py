"""Slow links between two namespaces, by `link.c`: this kernel may be built without netem."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Wire", "link_program", "wired"]

_SOURCE: Final = Path(__file__).with_name("link.c")


@dataclass(frozen=True, slots=True)
class Wire:
    """Properties of a link, the same in both directions."""

    delay: float = 0.0
    "Seconds one way, without queueing."
    loss: float = 0.0
    "Part of the packets that is lost at random, 0 to 1."
    rate: float = 0.0
    "Bits per second; 0 for as fast as this machine."
    queue: int = 1 << 20
    "Bytes of the queue; later packets are dropped."


@functools.cache
def link_program() -> Path:
    """Compile `link.c`, once per process; return the program."""
    folder = Path(tempfile.mkdtemp(prefix="dcsend-link-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "link"
    subprocess.run(["cc", "-O2", "-o", program, _SOURCE], check=True)
    return program


@contextmanager
def wired(one: str, other: str, wire: Wire, seed: int = 1) -> Iterator[None]:
    """Join two namespaces by a pair of TUN devices with a link between them.

    Args:
        one: NAMESPACE/DEVICE; the new device is down.
        other: the same for the other end.
        wire: its properties.
        seed: selects the lost packets.
    """
    numbers = (wire.delay * 1e6, wire.loss * 1e6, wire.rate, wire.queue, seed)
    link = subprocess.Popen(
        [str(link_program()), one, other, *(f"{number:.0f}" for number in numbers)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert link.stdout is not None
        assert link.stdout.readline() == "ready\n", "the link did not come up; see above"
        yield
    finally:
        link.kill()
        link.communicate()
