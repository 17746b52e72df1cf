"""`dcsend chat`: the options of the demo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.commands import joined
from dcsend.cli.leaving import leave
from dcsend.cli.options import (
    Addresses,
    ChatPort,
    Debug,
    Expires,
    IceServer,
    Json,
    JsonTo,
    Timeout,
    finite,
    option,
    refuse,
    servers_of,
    typed,
)
from dcsend.cli.parsing import by_descriptions, parse_duration
from dcsend.errors import UsageError
from dcsend.settings import Settings, Signal

if TYPE_CHECKING:
    from dcsend.stage import DisplayOptions

__all__ = ["chat"]

_LONGEST_LABEL = 65_535
"Bytes (RFC 8832, 5.1)."


def chat(
    context: typer.Context,
    code: Annotated[
        list[str] | None,
        typer.Argument(
            help="Offer of the other side, or code that dcsend chat --listen printed; @FILE reads "
            "it from a file, @- prompts for it. Without it, dcsend prompts for an offer.",
            envvar="DCSEND_CODE",
            metavar="[CODE]",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    offer: Annotated[
        bool, option("--offer", help="Print an offer and prompt for the answer.")
    ] = False,
    listen: Annotated[bool, option("--listen", help="Print a code for: dcsend chat CODE")] = False,
    channel: Annotated[
        list[str] | None,
        option(
            "--channel",
            help="Label of a data channel to open [data, if this side offers or dials]. "
            "Repeatable.",
            metavar="LABEL",
        ),
    ] = None,
    unordered: Annotated[
        bool, option("--unordered", help="Open channels without ordered delivery.")
    ] = False,
    max_retransmits: Annotated[
        int | None,
        option(
            "--max-retransmits",
            help="Retransmissions of a lost message before it is abandoned [no limit].",
            metavar="N",
            min=0,
            max=65535,
        ),
    ] = None,
    max_lifetime: Annotated[
        int | None,
        option(
            "--max-lifetime",
            help="Milliseconds until a lost message is abandoned [no limit].",
            metavar="MS",
            min=1,
            max=65535,
        ),
    ] = None,
    protocol: Annotated[
        str,
        option("--protocol", help="Subprotocol of the channels that this side opens.", metavar="P"),
    ] = "",
    negotiated: Annotated[
        int | None,
        option(
            "--negotiated",
            help="Stream id of a channel that both sides open without negotiation in-band.",
            metavar="ID",
            min=0,
            max=65534,
        ),
    ] = None,
    interval: Annotated[
        float,
        option(
            "--interval",
            help="Seconds between random messages; 0 sends none [5].",
            metavar="SECONDS",
            min=0,
            max=86400,
            callback=finite,
        ),
    ] = 5.0,
    save: Annotated[
        str | None,
        option("--save", help="Save each binary message as a file in this folder.", metavar="DIR"),
    ] = None,
    ice_server: IceServer = None,
    compact: Annotated[
        bool, option("--compact", help="Print the offer in a short form that only dcsend can read.")
    ] = False,
    qr: Annotated[
        bool, option("--qr", help="Also show the printed code as a QR code.", env="CHAT_QR")
    ] = False,
    no_copy: Annotated[
        bool, option("--no-copy", help="Do not copy the printed code to the clipboard.")
    ] = False,
    port: ChatPort = 0,
    address: Addresses = None,
    expires: Expires = "1h",
    connect_timeout: Timeout = 15.0,
    json: Json = False,
    json_to: JsonTo = None,
    debug: Debug = None,
) -> None:
    """Talk to any WebRTC peer over data channels.

    Compatible with the data-channels example of Pion. Paste the offer of the other side and give
    it the answer; or make the offer (--offer); or use one code (--listen). Typed lines are sent on
    every open channel. /help lists the commands.
    """

    def run(options: DisplayOptions) -> int:
        from dcsend.chat.settings import ChatSettings
        from dcsend.chat.transcript import ChatOptions
        from dcsend.runner import run_chat

        if save == "":
            raise UsageError(
                "the folder for --save is empty", "name a folder; . is the current one"
            )
        given = joined(code)
        ways = _ways(context, code=bool(given), offer=offer, listen=listen)
        _refuse_contradictions(
            ways, (max_retransmits, max_lifetime), channel or [], protocol, negotiated
        )
        chosen = given if ways["code"] else ""
        _refuse_idle(
            context,
            ways,
            chosen,
            opens=bool(channel) or negotiated is not None,
            json=options.json,
        )
        stun, turn = servers_of(context, ice_server, one_way=ways["--listen"])
        settings = Settings(
            code=chosen,
            port=port,
            addresses=tuple(address or ()),
            stun=stun,
            turn=turn,
            expires=parse_duration(expires),
            connect_timeout=connect_timeout,
        )
        choices = ChatSettings(
            offers=ways["--offer"],
            listens=ways["--listen"],
            channels=tuple(channel or ()),
            ordered=not unordered,
            max_retransmits=max_retransmits,
            max_lifetime=max_lifetime,
            protocol=protocol,
            negotiated=negotiated,
            interval=interval,
            save=Path(os.path.expanduser(save)) if save else None,
            shows_json=not compact,
        )
        shown = ChatOptions(interval=interval, qr=qr, copies=not no_copy)
        return run_chat(settings, choices, shown, options)

    leave(run, json=json, json_to=json_to, debug=debug)


def _ways(context: typer.Context, **given: bool) -> dict[str, bool]:
    """Return which way of connecting is chosen; the command line overrides a variable."""
    explicit = {name for name, on in given.items() if on} & typed(context)
    if len(explicit) == 1:
        given = {name: name in explicit for name in given}
    return {"code": given["code"], "--offer": given["offer"], "--listen": given["listen"]}


def _refuse_contradictions(
    ways: dict[str, bool],
    limits: tuple[int | None, int | None],
    channels: list[str],
    protocol: str,
    negotiated: int | None,
) -> None:
    """Refuse options that contradict each other, and names that are too long.

    Raises:
        UsageError: an option is refused.
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
    for what, text in (("a protocol's name", protocol), *(("a label", name) for name in channels)):
        if len(text.encode("utf-8", "replace")) > _LONGEST_LABEL:
            raise UsageError(f"{what} has {_LONGEST_LABEL} bytes at most", "choose a shorter one")


def _refuse_idle(
    context: typer.Context, ways: dict[str, bool], code: str, *, opens: bool, json: bool
) -> None:
    """Refuse options on the command line that would have no effect.

    Raises:
        UsageError: an option is refused.
    """
    given = typed(context)
    unread = code.startswith("@")
    dials = bool(code) and not unread and not by_descriptions(Signal.DIAL, code)
    answers = not (ways["--offer"] or ways["--listen"] or dials or unread)
    if (answers or ways["--listen"]) and not opens:
        idle = given & {"unordered", "max_retransmits", "max_lifetime", "protocol"}
        refuse(idle, "for channels that this side opens", "add --channel LABEL")
    if not ways["--offer"]:
        # An answer has the form of the offer, and a dial code has one form only.
        refuse(given & {"compact"}, "for an offer", "add --offer")
    if answers or ways["--listen"]:
        refuse(
            given & {"connect_timeout"},
            "for the side that dials or offers",
            "leave it out here; --expires is how long this side waits",
        )
    if dials:
        idle = given & {"address", "ice_server", "expires", "qr", "no_copy"}
        refuse(idle, "for the side that shows a code", "leave it out here")
    if ways["--listen"]:
        refuse(given & {"no_copy"}, "for descriptions", "a dial code is not copied")
    if json:
        refuse(given & {"qr", "no_copy"}, "for people, and --json is for programs", "choose one")
