"""`dcsend chat`: the demo that dcsend grew from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.leaving import leave
from dcsend.cli.options import (
    Addresses,
    EngineOption,
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
from dcsend.settings import ChatSettings, Engine, Settings, Signal

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
    qr: Annotated[
        bool, option("--qr", help="Show our code as a QR code, too.", env="CHAT_QR")
    ] = False,
    no_copy: Annotated[
        bool, option("--no-copy", help="Don't copy our description to the clipboard.")
    ] = False,
    port: Port = 0,
    address: Addresses = None,
    expires: Expires = "1h",
    connect_timeout: Timeout = 15.0,
    engine: EngineOption = Engine.DCSEND,
    json: Json = False,
) -> None:
    """Talk to any WebRTC peer over data channels, as the Pion data-channels demo does.

    Paste the other side's offer and give it the answer; or --offer; or with a dial code.
    What you type is sent on every open channel; /help tells more.
    """

    def run(options: Options) -> int:
        from dcsend.display.chat import ChatOptions
        from dcsend.runner import parse_duration, run_chat

        ways = _ways(context, code=bool(code), offer=offer, listen=listen)
        _refuse_contradictions(
            ways, (max_retransmits, max_lifetime), channel or [], protocol, negotiated
        )
        chosen = code if ways["code"] else ""
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
            engine=engine,
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
            save=save.expanduser() if save else None,
            shows_json=not compact,
        )
        shown = ChatOptions(interval=interval, qr=qr, copies=not no_copy)
        return run_chat(settings, choices, shown, json=options.json)

    leave(run, json=json)


def _ways(context: typer.Context, **given: bool) -> dict[str, bool]:
    """Return how to meet; what the command line says beats a variable."""
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
    """Refuse what can't be done, or not together.

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
    for what, text in (("a protocol's name", protocol), *(("a label", name) for name in channels)):
        if len(text.encode("utf-8", "replace")) > _LONGEST_LABEL:
            raise UsageError(f"{what} has {_LONGEST_LABEL} bytes at most", "choose a shorter one")


def _refuse_idle(
    context: typer.Context, ways: dict[str, bool], code: str, *, opens: bool, json: bool
) -> None:
    """Refuse what would do nothing.

    Raises:
        UsageError: there is such.
    """
    from dcsend.runner import by_descriptions

    given = typed(context)
    unread = code.startswith("@")
    dials = bool(code) and not unread and not by_descriptions(Signal.DIAL, code)
    answers = not (ways["--offer"] or ways["--listen"] or dials or unread)
    if (answers or ways["--listen"]) and not opens:
        idle = given & {"unordered", "max_retransmits", "max_lifetime", "protocol"}
        refuse(idle, "for channels that this side opens", "add --channel LABEL")
    if not ways["--offer"]:
        # The form of an answer is that of the offer, and a dial code has one form.
        refuse(given & {"compact"}, "for an offer", "add --offer")
    if answers or ways["--listen"]:
        refuse(
            given & {"connect_timeout"},
            "for the side that has everything it needs",
            "leave it out here; --expires tells how long this side waits",
        )
    if dials:
        idle = given & {"address", "ice_server", "expires", "qr", "no_copy"}
        refuse(idle, "for the side that shows a code", "leave it out here")
    if ways["--listen"]:
        refuse(given & {"no_copy"}, "for descriptions", "a dial code is not copied")
    if json:
        refuse(given & {"qr", "no_copy"}, "for people, and --json is for programs", "choose one")
