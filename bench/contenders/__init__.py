"""The programs that are measured: one module for each kind, all with `Contender.measure`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.contenders import channels, tcp, whole, wormhole
from bench.contenders.base import Contender

__all__ = ["CONTENDERS", "Contender", "choose"]

CONTENDERS: Final[dict[str, Contender]] = {
    one.name: one
    for one in (
        whole.DCSEND,
        *channels.CONTENDERS,
        *wormhole.CONTENDERS,
        *tcp.CONTENDERS,
    )
}
"By name."


def choose(names: Sequence[str]) -> list[Contender]:
    """Return the contenders that can run here; print for each other one why it cannot."""
    chosen = []
    for name in names:
        if why := CONTENDERS[name].missing():
            print(f"without {name}: {why}")
        else:
            chosen.append(CONTENDERS[name])
    if not chosen:
        raise SystemExit("nothing to measure")
    return chosen
