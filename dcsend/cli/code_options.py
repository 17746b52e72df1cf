"""The options about short codes, and their settings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dcsend.cli.options import option, typed
from dcsend.errors import UsageError

__all__ = [
    *("Long", "NoMdns", "OwnCode", "RelayOnly", "Server", "Words"),
    *("named_server", "short_code_settings"),
]

Server = Annotated[
    str,
    option(
        "--server",
        help="Rendezvous server for short codes: URL or host name, public, or none [none].",
        metavar="URL",
    ),
]
NoMdns = Annotated[
    bool,
    option(
        "--no-mdns",
        help="Neither announce a short code in this network nor look for one there.",
    ),
]
Words = Annotated[
    int,
    option("--words", help="Words of the short code [2].", metavar="N", min=2, max=8),
]
OwnCode = Annotated[
    str,
    option(
        "--code",
        help="Words of your own for the first short code, from the list in PROTOCOL.md.",
        env="OWN_CODE",
        metavar="WORDS",
    ),
]
Long = Annotated[bool, option("--long", help="Also show the dial code as text.")]
RelayOnly = Annotated[
    bool,
    option(
        "--relay-only",
        help="Connect through a TURN server only, which hides the addresses of this machine.",
    ),
]


def named_server(option: str) -> str:
    """Return the server that `--server` names; empty if it names none.

    Raises:
        UsageError: it is neither a URL nor a host name.
    """
    if not (name := option.strip()):
        return ""
    from dcsend.rendezvous.servers import read_option

    return name if read_option(name) is not None else ""


def short_code_settings(
    context: typer.Context, *, dials: bool, turn: bool, two_codes: bool
) -> dict[str, Any]:
    """Return the fields of `Settings` for short codes.

    Args:
        context: of the command, which has the options of this module.
        dials: whether the code of the other side is given.
        turn: whether a TURN server is named.
        two_codes: whether an offer and an answer are exchanged instead.

    Raises:
        UsageError: a value is invalid, or two of them contradict each other.
    """
    given = context.params
    own_code, no_mdns, words = given["own_code"], given["no_mdns"], given["words"]
    relay_only = given["relay_only"]
    name = named_server(given["server"])
    shows_codes = not (dials or two_codes or (no_mdns and not name))
    if dials or (not shows_codes and "own_code" not in typed(context)):
        own_code = ""  # for runs that show a code, as that of a variable is
    if own_code.strip():
        from dcsend.signaling.shortcode import own

        count = len(own(own_code).words)
        if "words" in typed(context) and count != words:
            raise UsageError(
                f"--code has {count} words, and --words is {words}", "leave out --words"
            )
    if own_code and (two_codes or (no_mdns and not name)):
        raise UsageError(
            "--code is for a short code, and none is shown",
            "leave out --signal sdp" if two_codes else "leave out --no-mdns, or name a --server",
        )
    if relay_only and two_codes:
        raise UsageError("--relay-only is for short codes", "leave out --signal sdp")
    if relay_only and not dials and "qr_file" in typed(context):
        raise UsageError(
            "--qr-file is of no use with --relay-only: its code has addresses of this machine",
            "leave it out; the other side enters the short code",
        )
    # The server of a code that is entered may offer one.
    if relay_only and not (turn or name or dials):
        raise UsageError(
            "--relay-only needs a rendezvous server and a TURN server",
            "name them: --server URL and, if that offers no TURN server, "
            "--ice-server turn:USER:PASSWORD@HOST",
        )
    return {
        "server": name,
        "mdns": not no_mdns,
        "words": words,
        "own_code": own_code.strip(),
        "relay_only": relay_only,
    }
