"""The options that several commands share, and checks of their values and combinations."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dcsend.errors import IncompleteCode, UsageError
from dcsend.printable import printable, system_reason
from dcsend.settings import DEFAULT_STUN, Signal

__all__ = [
    "Addresses",
    "As",
    "ChatPort",
    "Debug",
    "DryRun",
    "Expires",
    "IceServer",
    "Json",
    "JsonTo",
    "LimitRate",
    "NoInhibit",
    "NoPage",
    "PageUrl",
    "Port",
    "Qr",
    "QrFile",
    "QrMode",
    "Quiet",
    "Reconnect",
    "SignalOption",
    "Stun",
    "Timeout",
    "Verbose",
    "device_name",
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
    """Return *seconds*, unless it is NaN, which passes every comparison with a limit.

    Raises:
        typer.BadParameter: it is NaN or infinite.
    """
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a number of seconds")
    return seconds


def option(*names: str, help: str, env: str = "", **more: Any) -> Any:  # noqa: ANN401
    """Declare an option with its environment variable, which the help does not repeat.

    Args:
        names: of the option; the variable of the first is `DCSEND_` and its capitals.
        help: what the option does, with its default in brackets.
        env: other variables, without `DCSEND_`, separated by spaces.
        more: arguments of `typer.Option`.
    """
    named = (env or names[0].lstrip("-")).upper().replace("-", "_")
    first, *others = (f"DCSEND_{name}" for name in named.split())
    variable = [first, *others] if others else first
    return typer.Option(
        *names, help=help, envvar=variable, show_default=False, show_envvar=False, **more
    )


def _port(help: str) -> Any:  # noqa: ANN401
    return option("--port", help=help, metavar="PORT", min=0, max=65535)


Port = Annotated[int, _port("UDP port, and TCP port of the page [random].")]
ChatPort = Annotated[int, _port("UDP port [random].")]
Addresses = Annotated[
    list[str] | None,
    option(
        "--address",
        help="IP address to put into the code instead of the detected ones, such as the public "
        "address of a port forwarding. Repeatable.",
        metavar="IP",
    ),
]
_SERVER_HELP = (
    f"STUN server, or none [{DEFAULT_STUN[0]}]; except for dial codes also a TURN server, "
    "turn:USER:PASSWORD@HOST[:PORT][?transport=tcp]. @FILE lists one per line. Repeatable."
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
        help="Connect with one code (dial) or with two, an offer and an answer (sdp) [dial].",
        metavar="HOW",
    ),
]
Expires = Annotated[
    str,
    option(
        "--expires",
        help="How long the code can be used: 90s, 10m, 1h or a number of seconds [1h].",
        metavar="TIME",
    ),
]
PageUrl = Annotated[
    str, option("--page-url", help="URL of a hosted copy of the page, for the link.", metavar="URL")
]
NoPage = Annotated[bool, option("--no-page", help="Serve no page; the link works in dcsend only.")]
QrMode = Annotated[
    Qr,
    option("--qr", help="QR code in the terminal: auto, half, full or none [auto].", metavar="HOW"),
]
QrFile = Annotated[
    Path | None,
    option("--qr-file", help="Also write the QR code to a .png or .svg file.", metavar="FILE"),
]
Timeout = Annotated[
    float,
    option(
        "--connect-timeout",
        help="Seconds to try to connect with the code of the other side [15].",
        metavar="SECONDS",
        min=1,
        max=600,
        callback=finite,
    ),
]
Reconnect = Annotated[
    str,
    option(
        "--reconnect",
        help="How long to try to connect again when the connection is lost during a transfer: 90s, "
        "10m, 1h; 0 ends the run then [10m].",
        metavar="TIME",
    ),
]
NoInhibit = Annotated[
    bool,
    option("--no-inhibit", help="Let this computer fall asleep while a transfer runs."),
]
LimitRate = Annotated[
    str,
    option(
        "--limit-rate",
        help="Bytes of content per second to transfer at most: 500K, 2M, 1G (decimal), or off. "
        "While it runs, type /limit 1M or /limit off [off].",
        metavar="RATE",
    ),
]
As = Annotated[
    str | None,
    option(
        "--as",
        help="Name of this device to show on the other side; '' for none [host name].",
        metavar="NAME",
    ),
]
DryRun = Annotated[
    bool,
    option("--dry-run", help="Show what would be transferred, and transfer nothing."),
]
Quiet = Annotated[bool, option("--quiet", "-q", help="Print only the codes and errors.")]
Json = Annotated[bool, option("--json", help="Print events as JSON, one object per line.")]
JsonTo = Annotated[
    str | None,
    option(
        "--json-to",
        help="Also write these events to a file, or to the file descriptor of this number.",
        metavar="FILE|FD",
    ),
]
Verbose = Annotated[
    bool,
    option("--verbose", "-v", help="Show every file, keep-alive messages and the peer's program."),
]
Debug = Annotated[
    str | None,
    option(
        "--debug",
        help="Append a log for developers to a file, or to the file descriptor of this number "
        "(2 is standard error). It contains addresses and file names, but no code, password or "
        "content.",
        metavar="FILE|FD",
    ),
]
EPILOG = (
    "An environment variable can set each option of send, receive and chat: DCSEND_EXPIRES=10m "
    "sets --expires, and so on. {others} In a variable, spaces separate the values of a repeatable "
    "option. "
    "The command line overrides the environment."
)
"End of the help of `send`, `receive` and `chat`; *others* are variables with another name."


OF_LISTENER = ("address", "keep", "qr_file", "times")
"""Parameters that a side refuses if it dials a code: the other side would get other addresses than
the user expects, or a file would be missing. All others only concern a code that is shown, and are
accepted."""
OF_PAGE = frozenset({"qr_file"})
"Those that are refused with two codes, which are too long for a QR code: a file would be missing."


def typed(context: typer.Context) -> set[str]:
    """Return the names of the parameters that are on the command line, not in a variable."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def device_name(given: str | None) -> str:
    """Return the name of this device: *given*, or the host name; empty for none.

    Raises:
        UsageError: *given* is not a valid name of a device.
    """
    from dcsend.session.introduction import check_name, host_name

    # typer treats an empty variable as one that is not set.
    if given is None and os.environ.get("DCSEND_AS") == "":
        return ""
    if given is None:
        return host_name()
    check_name(given)
    return given


def refuse_idle_options(context: typer.Context, dialed: str, *, two_codes: bool = False) -> None:
    """Refuse options on the command line that should have an effect on this side, and have none.

    Variables are not refused, since they are for both sides.

    Args:
        context: of the command.
        dialed: the code that was given; empty if this side prints one.
        two_codes: whether an offer and an answer are exchanged.

    Raises:
        UsageError: the command line has such an option.
    """
    given = typed(context)
    if two_codes:
        refuse(
            given & OF_PAGE, "of no use with --signal sdp", "its codes are too long; leave it out"
        )
        return
    if not dialed:
        return
    from dcsend.signaling.link import both_codes
    from dcsend.signaling.shortcode import is_short_code

    if dialed.startswith("@") or both_codes(dialed) or is_short_code(dialed):
        given.discard("address")  # the candidates of the side that enters a short code
    idle = [name for name in OF_LISTENER if name in given]
    if idle:
        spelled = ["--" + name.replace("_", "-") for name in idle]
        names = " and ".join(spelled)
        raise UsageError(
            f"{names} {'are' if len(idle) > 1 else 'is'} for the side that prints the code",
            "leave it out here, or use it on the other side",
        )


def refuse_empty(context: typer.Context, name: str, code: str) -> None:
    """Refuse an empty code, such as the value of a shell variable that is not set.

    Without a code a side listens, and `receive -y` would accept files from any peer.

    Args:
        context: of the command.
        name: of the parameter with the code.
        code: its value.

    Raises:
        IncompleteCode: the parameter is on the command line, or its environment variable is set,
            and the code is empty.
    """
    if code.strip():
        return
    if name in typed(context):
        raise IncompleteCode("the code is empty")
    variable = f"DCSEND_{name.upper()}"
    if variable in os.environ:  # click treats an empty one as not set
        raise IncompleteCode(f"{variable} is empty", "set it to the code, or unset it")


def refuse(names: Collection[str], reason: str, hint: str) -> None:
    """Refuse parameters.

    Args:
        names: of the parameters; may be empty.
        reason: end of the message, after "--NAME is".
        hint: of the error.

    Raises:
        UsageError: *names* is not empty.
    """
    if names:
        shown = " and ".join("--" + name.replace("_", "-") for name in sorted(names))
        verb = "are" if len(names) > 1 else "is"
        raise UsageError(f"{shown} {verb} {reason}", hint)


def page_of(context: typer.Context, url: str, *, no_page: bool, dials: bool) -> tuple[str, bool]:
    """Return the URL of a hosted page and whether to serve one; `--no-page` disables both.

    Raises:
        UsageError: *url* and *no_page* contradict each other, and the command line has both or
            neither.
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
    """Return the STUN servers and the TURN servers among *named*; `none` stands for none.

    Args:
        context: of the command.
        named: values of the option or of its variable.
        one_way: whether this run publishes a dial code only, which cannot hold relayed addresses.
            TURN servers from a variable are then left out, since it serves other runs, too.

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
    """Return *name*, or the lines of the file in `@FILE`: passwords stay off the command line."""
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
        reason = system_reason(exc, "it is not UTF-8")
        raise UsageError(f"can't read the servers from {printable(name[1:])}: {reason}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
