"""What a seed chooses: files, faults of each run, and the limits of both sides."""

from __future__ import annotations

import errno
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dcsend.entry import Existing
from dcsend.settings import Settings
from tests.simulation.process import Action
from tests.simulation.seams import INTERVAL

__all__ = ["OLD", "Plan", "Trial", "plan", "trial"]

OLD: Final = b"what was there before\n"
_ERRORS: Final[tuple[Action, ...]] = ("short", errno.EIO, errno.ENOSPC, errno.EINTR, errno.EMFILE)
_POOL: Final = random.Random(0).randbytes(600_000)


@dataclass(frozen=True, slots=True)
class Trial:
    """The faults of one run of both sides."""

    cuts: tuple[int, ...] = ()
    "Messages after which the path of each connection fails."
    outage: float = 0.0
    kill_at: int = 0
    "Message at which a process ends; 0 for none."
    killed: str = "sender"
    power: bool = False
    jump_at: int = 0
    "Message at which both sides stop for a time; 0 for none."
    jump: float = 0.0
    actions: Mapping[str, Mapping[int, Action]] = field(default_factory=dict)
    "By side, and number of its call on the disk."
    lasting: bool = True
    "Whether the sides connect again."
    limit: float = 20.0
    "Seconds for that."
    dialer: str = "receiver"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole simulation."""

    files: Mapping[str, bytes]
    taken: tuple[str, ...]
    "Of these names, files exist already."
    existing: Existing
    settings: Settings
    block: int
    portion: int
    trials: int
    "Runs with faults; after them come runs without."
    exclusive: bool
    "Whether the disk of the receiver has a rename that replaces nothing; all have hard links."


def plan(rng: random.Random) -> Plan:
    """Choose a simulation."""
    files = {}
    for number in range(rng.choice((1, 1, 2, 3, 6))):
        kind, start = rng.random(), rng.randrange(300_000)
        size = rng.randrange(4 * INTERVAL, 9 * INTERVAL)
        if kind < 0.35:
            size = rng.choice((0, 1, rng.randrange(INTERVAL)))
        elif kind < 0.45:
            size = rng.choice((INTERVAL - 1, INTERVAL, 2 * INTERVAL, 2 * INTERVAL + 1))
        files[f"{rng.choice(('', 'd/', 'd/e/'))}{number}"] = _POOL[start : start + size]
    overwrite = rng.random() < 0.25
    taken = [path for path in files if overwrite and rng.random() < 0.5]
    settings = Settings(
        window=rng.choice((16 << 10, 64 << 10, 1 << 20)),
        block_size=1,
        progress_interval=1.0,
        reconnect=20.0,
    )
    return Plan(
        files=files,
        taken=tuple(taken),
        existing=Existing.OVERWRITE if overwrite else Existing.SKIP,
        settings=replace(settings, existing=Existing.SKIP),
        block=rng.choice((4 << 10, 8 << 10, 13_000)),
        portion=rng.choice((1, 16 << 10, 256 << 10)),
        trials=rng.choice((0, 1, 1, 2, 2, 3, 4)),
        exclusive=rng.random() < 0.5,
    )


def trial(rng: random.Random) -> Trial:
    """Choose the faults of one run."""
    found = Trial(
        dialer=rng.choice(("sender", "receiver")),
        lasting=rng.random() < 0.85,
        limit=rng.choice((8.0, 20.0)),
        outage=rng.choice((0.0, 5.0, 30.0)),
    )
    kind = rng.random()
    if kind < 0.7:
        cuts = [int(rng.expovariate(0.03)) for _ in range(rng.choice((1, 1, 2, 3, 5)))]
        if rng.random() < 0.4:
            cuts[1:] = [rng.randrange(6) for _ in cuts[1:]]  # while the next one takes over
        found = replace(found, cuts=tuple(cuts))
    kind = rng.random()
    if kind < 0.3:
        found = replace(
            found,
            kill_at=1 + int(rng.expovariate(0.02)),
            killed=rng.choice(("sender", "receiver")),
            power=rng.random() < 0.5,
        )
    elif kind < 0.75:
        side = rng.choice(("receiver", "receiver", "receiver", "sender"))
        found = replace(found, killed=side)
        at = 1 + int(rng.expovariate(0.006))
        action: Action = rng.choice(("kill", "power"))
        if rng.random() < 0.35:
            action = rng.choice(_ERRORS)
        found = replace(found, actions={side: {at: action}})
    if rng.random() < 0.15:
        jump = rng.choice((1.0, 4.0, 40.0))
        found = replace(found, jump_at=1 + int(rng.expovariate(0.03)), jump=jump)
    return found
