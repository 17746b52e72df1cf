"""`dcsend chat`: the demo that dcsend grew from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.leaving import leave
from dcsend.cli.options import (
    Addresses,
    Expires,
    IceServer,
    Json,
    Port,
    Timeout,
    finite,
    option,
    refuse,
    servers_of,
    typed,
)
from dcsend.errors import UsageError
from dcsend.settings import ChatSettings, Settings

if TYPE_CHECKING:
    from dcsend.runner import Options

__all__ = ["chat"]

_LONGEST_LABEL = 65_535
"Bytes (RFC 8832, 5.1)."


def chat(
    context: typer.Context,
    code: Annotated[
        str,
        typer.Argument(
            help="The other side's offer, or the dial code of dcsend chat --listen; @FILE or @- to "
            "read it. Without one, you are asked for an offer.",
            envvar="DCSEND_CODE",
            metavar="[CODE]",
            show_default=False,
            show_envvar=True,
        ),
    ] = "",
    offer: Annotated[
        bool, option("--offer", help="Make the offer, and ask for the other side's answer.")
    ] = False,
    listen: Annotated[
        bool, option("--listen", help="Print a dial code, for: dcsend chat CODE")
    ] = False,
    channel: Annotated[
        list[str] | None,
        option(
            "--channel",
            help="Label of a data channel to open [data, where this side offers or dials]. "
            "Repeatable; the variable is split at spaces.",
            metavar="LABEL",
        ),
    ] = None,
    unordered: Annotated[
        bool, option("--unordered", help="Messages may overtake each other on our channels.")
    ] = False,
    max_retransmits: Annotated[
        int | None,
        option(
            "--max-retransmits",
            help="How often a lost message is sent again [until it arrives].",
            metavar="N",
            min=0,
            max=65535,
        ),
    ] = None,
    max_lifetime: Annotated[
        int | None,
        option(
            "--max-lifetime",
            help="For how long a lost message is sent again [until it arrives].",
            metavar="MS",
            min=1,
            max=65535,
        ),
    ] = None,
    protocol: Annotated[
        str, option("--protocol", help="Name of a subprotocol for our channels.", metavar="P")
    ] = "",
    negotiated: Annotated[
        int | None,
        option(
            "--negotiated",
            help="Stream id of a channel that both sides open, unannounced.",
            metavar="ID",
            min=0,
            max=65534,
        ),
    ] = None,
    interval: Annotated[
        float,
        option(
            "--interval",
            help="Seconds between random messages, 0 for none [5].",
            metavar="SECONDS",
            min=0,
            max=86400,
            callback=finite,
        ),
    ] = 5.0,
    save: Annotated[
        Path | None,
        option("--save", help="Save binary messages in this folder, a file each.", metavar="DIR"),
    ] = None,
    ice_server: IceServer = None,
    compact: Annotated[
        bool, option("--compact", help="Show a short code, which dcsend alone can read.")
    ] = False,
    qr: Annotated[bool, option("--qr", help="Show our code as a QR code, too.")] = False,
    no_copy: Annotated[
        bool, option("--no-copy", help="Don't copy our description to the clipboard.")
    ] = False,
    port: Port = 0,
    address: Addresses = None,
    expires: Expires = "1h",
    connect_timeout: Timeout = 15.0,
    json: Json = False,
) -> None:
    """Talk to any WebRTC peer over data channels, as the Pion data-channels demo does.

    Paste the other side's offer and give it the answer; or --offer; or with a dial code.
    What you type is sent on every open channel; /help tells more.
    """

    def run(options: Options) -> int:
        from dcsend.display.chat import ChatOptions
        from dcsend.runner import parse_duration, run_chat

        _refuse_contradictions(
            context,
            ways={"code": bool(code), "--offer": offer, "--listen": listen},
            limits=(max_retransmits, max_lifetime),
            channels=channel or [],
            negotiated=negotiated,
        )
        stun, turn = servers_of(ice_server)
        settings = Settings(
            code=code,
            port=port,
            addresses=tuple(address or ()),
            stun=stun,
            turn=turn,
            expires=parse_duration(expires),
            connect_timeout=connect_timeout,
        )
        choices = ChatSettings(
            offers=offer,
            listens=listen,
            channels=tuple(channel or ()),
            ordered=not unordered,
            max_retransmits=max_retransmits,
            max_lifetime=max_lifetime,
            protocol=protocol,
            negotiated=negotiated,
            interval=interval,
            save=save.expanduser() if save else None,
            shows_json=not compact,
        )
        shown = ChatOptions(interval=interval, qr=qr, copies=not no_copy)
        return run_chat(settings, choices, shown, json=options.json)

    leave(run, json=json)


def _refuse_contradictions(
    context: typer.Context,
    *,
    ways: dict[str, bool],
    limits: tuple[int | None, int | None],
    channels: list[str],
    negotiated: int | None,
) -> None:
    """Refuse what can't be done together, or would do nothing.

    Raises:
        UsageError: there is such.
    """
    chosen = [name for name, on in ways.items() if on]
    if len(chosen) > 1:
        shown = " and ".join("a code" if name == "code" else name for name in chosen)
        raise UsageError(f"{shown} contradict each other", "choose one of them")
    if None not in limits:
        raise UsageError(
            "--max-retransmits and --max-lifetime contradict each other", "choose one of them"
        )
    if negotiated is not None and len(channels) > 1:
        raise UsageError("--negotiated is for one channel", "leave out all --channel but one")
    for label in channels:
        if len(label.encode("utf-8", "replace")) > _LONGEST_LABEL:
            raise UsageError(f"a label has {_LONGEST_LABEL} bytes at most", "choose a shorter one")
    given = typed(context)
    opens = ways["--offer"] or bool(channels) or negotiated is not None or ways["code"]
    if not opens:
        idle = given & {"unordered", "max_retransmits", "max_lifetime", "protocol"}
        refuse(idle, "for channels that this side opens", "add --channel LABEL")
    if not ways["--offer"]:
        # The form of an answer is that of the offer, and a dial code has one form.
        refuse(given & {"compact"}, "for an offer", "add --offer")
