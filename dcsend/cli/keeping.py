"""The options of a receiver that stays: `receive --keep`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcsend.cli.options import option, refuse, typed
from dcsend.cli.parsing import parse_size
from dcsend.errors import UsageError
from dcsend.settings import MIN_FREE

__all__ = ["Into", "Keep", "MaxPeer", "MaxTotal", "MinFree", "expiry", "keep_settings"]

_LONGEST = "30d"
"How long the code of a receiver that stays works, unless the user has chosen a time."

Keep = Annotated[
    bool,
    option(
        "--keep",
        help="Stay, and receive from many senders with one code, until Ctrl-C or for --expires "
        "[30d]. Implies --rename; -y needs --max-total or --min-free.",
    ),
]
Into = Annotated[
    str,
    option(
        "--into",
        help="With --keep: folder in --output for each sender, with {date}, {time}, {peer} and "
        "{address}, such as '{date}/{peer}'.",
        metavar="FOLDER",
    ),
]
MaxTotal = Annotated[
    str,
    option(
        "--max-total",
        help="With --keep: accept at most this much of all senders together: 500M, 10G [no limit].",
        metavar="SIZE",
    ),
]
MaxPeer = Annotated[
    str,
    option(
        "--max-peer",
        help="With --keep: accept at most this much at once from one sender [no limit].",
        metavar="SIZE",
    ),
]
MinFree = Annotated[
    str,
    option(
        "--min-free",
        help="With --keep: leave this much of the disk free [1G].",
        metavar="SIZE",
    ),
]
_OF_KEEP = {"into", "max_total", "max_peer", "min_free"}
"Parameters that have an effect with `--keep` only."


def keep_settings(
    context: typer.Context,
    *,
    keep: bool,
    dials: bool,
    yes: bool,
    into: str,
    sizes: tuple[str, str, str],
) -> dict[str, Any]:
    """Return the settings of a receiver that stays; none for another one.

    Args:
        context: of the command.
        keep: whether it is to stay.
        dials: whether this side has a code, or exchanges two.
        yes: whether it accepts without asking.
        into: value of `--into`.
        sizes: values of `--max-total`, `--max-peer` and `--min-free`; empty for the default.

    Raises:
        UsageError: they contradict each other, or are not sizes.
    """
    given = typed(context)
    if not keep or (dials and "keep" not in given):  # a variable serves other runs, too
        refuse(given & _OF_KEEP, "for a receiver that stays", "add --keep, or leave it out")
        return {}
    total, peer, free = (parse_size(size) if size else None for size in sizes)
    if yes and total is None and free is None:
        raise UsageError(
            "--keep with -y would accept everything that devices with the code offer",
            "add --max-total 10G, or --min-free 20G for what stays free on the disk",
        )
    limits = {"max_total": total, "max_peer": peer, "min_free": MIN_FREE if free is None else free}
    return {"keep": True, "into": into, **limits}


def expiry(context: typer.Context, expires: str, settings: dict[str, Any]) -> str:
    """Return how long the code works: for a receiver that stays, until it is ended.

    Its longest time is that of the certificate.
    """
    source = context.get_parameter_source("expires")
    is_chosen = source is not None and source.name != "DEFAULT"
    return _LONGEST if settings and not is_chosen else expires
