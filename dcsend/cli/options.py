"""The options that several commands share, and what is wrong with some of them."""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dcsend.errors import IncompleteCode, UsageError
from dcsend.printable import printable
from dcsend.settings import DEFAULT_STUN, Engine, Signal

__all__ = [
    "Addresses",
    "EngineOption",
    "Expires",
    "IceServer",
    "Json",
    "NoPage",
    "PageUrl",
    "Port",
    "Qr",
    "QrFile",
    "QrMode",
    "Quiet",
    "SignalOption",
    "Stun",
    "Timeout",
    "Verbose",
    "finite",
    "option",
    "page_of",
    "refuse",
    "refuse_idle_options",
    "servers_of",
    "typed",
]


class Qr(StrEnum):
    """How the QR code is drawn in the terminal."""

    AUTO = "auto"
    HALF = "half"
    FULL = "full"
    NONE = "none"


def finite(seconds: float) -> float:
    """Refuse what passes every comparison with a limit: not a number."""
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a number of seconds")
    return seconds


def option(*names: str, help: str, env: str = "", **more: Any) -> Any:  # noqa: ANN401
    """Declare an option that has its DCSEND_ variable, or several: *env* with spaces between."""
    named = (env or names[0].lstrip("-").split("/")[0]).upper().replace("-", "_")
    first, *others = (f"DCSEND_{name}" for name in named.split())
    variable = [first, *others] if others else first
    return typer.Option(*names, help=help, envvar=variable, show_default=False, **more)


Port = Annotated[
    int, option("--port", help="UDP and TCP port [random].", metavar="PORT", min=0, max=65535)
]
Addresses = Annotated[
    list[str] | None,
    option(
        "--address",
        help="IP address to put into the code in place of those found, such as a forwarded one. "
        "Repeatable; the variable is split at spaces.",
        metavar="IP",
    ),
]
_SERVER_HELP = (
    f"STUN server, or none [{DEFAULT_STUN[0]}]; with two codes also a relay, "
    "turn:USER:PASSWORD@HOST[:PORT][?transport=tcp]. @FILE has one on each line. "
    "Repeatable; the variable is split at spaces."
)
Stun = Annotated[
    list[str] | None,
    option("--stun", "--ice-server", help=_SERVER_HELP, env="STUN ICE_SERVER", metavar="SERVER"),
]
IceServer = Annotated[
    list[str] | None,
    option("--ice-server", "--stun", help=_SERVER_HELP, env="ICE_SERVER STUN", metavar="SERVER"),
]
SignalOption = Annotated[
    Signal,
    option(
        "--signal",
        help="How to meet: dial, by a code that goes one way; sdp, by one each way [dial].",
        metavar="HOW",
    ),
]
EngineOption = Annotated[
    Engine,
    option(
        "--engine",
        help="SCTP: dcsend, or the slower aiortc-stock, to compare or to fall back to [dcsend].",
        metavar="NAME",
    ),
]
Expires = Annotated[
    str, option("--expires", help="How long the code works: 90s, 10m, 1h [1h].", metavar="TIME")
]
PageUrl = Annotated[
    str, option("--page-url", help="Where a copy of the page is hosted.", metavar="URL")
]
NoPage = Annotated[
    bool, option("--no-page", help="Serve no page for browsers; the link is for dcsend only.")
]
QrMode = Annotated[
    Qr, option("--qr", help="QR code: auto, half, full or none [auto].", metavar="HOW")
]
QrFile = Annotated[
    Path | None,
    option("--qr-file", help="Write the QR code to a .png or .svg file, too.", metavar="FILE"),
]
Timeout = Annotated[
    float,
    option(
        "--connect-timeout",
        help="Seconds to try to connect to the side that printed the code [15].",
        metavar="SECONDS",
        min=1,
        max=600,
        callback=finite,
    ),
]
Quiet = Annotated[bool, option("--quiet", "-q", help="Print only the code, and errors.")]
Json = Annotated[bool, option("--json", help="Print events as JSON, one per line.")]
Verbose = Annotated[bool, option("--verbose", "-v", help="Show the random messages, too.")]


OF_LISTENER = ("address", "expires", "page_url", "no_page", "qr", "qr_file")
"Parameters without a meaning for the side that is given a code."
OF_DIALER = ("connect_timeout",)
"Parameters without a meaning for the side that prints the code."
OF_PAGE = frozenset({"page_url", "no_page", "qr", "qr_file"})
"Parameters without a meaning where two codes are exchanged: no link, no page, long codes."


def typed(context: typer.Context) -> set[str]:
    """Return the parameters that the command line itself gives, not a variable."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def refuse_idle_options(context: typer.Context, *, dials: bool, two_codes: bool = False) -> None:
    """Refuse options that would do nothing on this side; variables are for both sides.

    Raises:
        UsageError: the command line has one.
    """
    given = typed(context)
    if two_codes:
        refuse(given & OF_PAGE, "of no use with --signal sdp", "the page makes a code of its own")
        return
    idle = [name for name in (OF_LISTENER if dials else OF_DIALER) if name in given]
    if idle:
        names = " and ".join("--" + name.replace("_", "-") for name in idle)
        side = "prints the code" if dials else "is given the code"
        raise UsageError(
            f"{names} {'are' if len(idle) > 1 else 'is'} for the side that {side}",
            "leave it out here, or use it on the other side",
        )


def refuse_empty(context: typer.Context, name: str) -> None:
    """Refuse a code that is given and empty, as of a shell variable that is not set.

    Without a code a side listens, and `receive -y` would accept what anybody sends.

    Raises:
        IncompleteCode: the parameter is empty.
    """
    if name in typed(context) and not context.params[name].strip():
        raise IncompleteCode("the code is empty")


def refuse(names: Collection[str], reason: str, hint: str) -> None:
    """Refuse parameters, if there are any: `reason` is what they are or do.

    Raises:
        UsageError: there are.
    """
    if names:
        shown = " and ".join("--" + name.replace("_", "-") for name in sorted(names))
        verb = "are" if len(names) > 1 else "is"
        raise UsageError(f"{shown} {verb} {reason}", hint)


def page_of(context: typer.Context, url: str, *, no_page: bool, dials: bool) -> tuple[str, bool]:
    """Return where the page is hosted, and whether it is served here; `--no-page` is neither.

    Raises:
        UsageError: both are wanted, and neither is on the command line alone.
    """
    if url and no_page and not dials:
        given = {"page_url", "no_page"} & typed(context)
        if len(given) != 1:
            raise UsageError("--page-url and --no-page contradict each other", "choose one of them")
        no_page = given == {"no_page"}
    return ("", False) if no_page else (url, not url)


def servers_of(
    context: typer.Context, named: list[str] | None, *, one_way: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the STUN and the TURN servers among those named; `none` stands for none.

    Args:
        context: of the command that names them.
        named: the values of the option or of its variable.
        one_way: whether this run publishes a dial code, which has no room for relayed addresses.
            TURN servers of a variable are then left out: it is for runs with two codes as well.

    Raises:
        UsageError: a file of servers can't be read.
    """
    if not named:
        return DEFAULT_STUN, ()
    uris = [uri for name in named for uri in _listed(name)]
    turn = tuple(uri for uri in uris if uri.lower().startswith(("turn:", "turns:")))
    stun = tuple(uri for uri in uris if uri not in turn and uri.lower() != "none")
    if one_way and not {"stun", "ice_server"} & typed(context):
        turn = ()
    return stun, turn


def _listed(name: str) -> list[str]:
    """Return what `@FILE` lists, a line each, so that passwords stay off the command line."""
    if not name.startswith("@"):
        return [name.strip()] if name.strip() else []
    if name == "@-":
        raise UsageError(
            "the servers can't come from standard input, which is for codes and files",
            "name a file that lists them: @FILE",
        )
    try:
        text = Path(name[1:]).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"can't read the servers from {printable(name[1:])}: {reason}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
