"""Who is measured: one module per family, all behind `Contender.measure`."""

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
"Name -> contender."


def choose(names: Sequence[str]) -> list[Contender]:
    """Return those that can run here, saying of each other one why it can't."""
    chosen = []
    for name in names:
        if why := CONTENDERS[name].missing():
            print(f"without {name}: {why}")
        else:
            chosen.append(CONTENDERS[name])
    if not chosen:
        raise SystemExit("nobody to measure")
    return chosen
