"""`dcsend send` and `dcsend receive`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.code_options import (
    Long,
    NoMdns,
    OwnCode,
    RelayOnly,
    Server,
    Words,
    named_server,
    short_code_settings,
)
from dcsend.cli.commands import behind, joined, rejoined
from dcsend.cli.keeping import Into, Keep, MaxPeer, MaxTotal, MinFree, expiry, keep_settings
from dcsend.cli.leaving import leave
from dcsend.cli.options import (
    Addresses,
    As,
    Debug,
    DryRun,
    Expires,
    Json,
    JsonTo,
    LimitRate,
    NoInhibit,
    NoPage,
    PageUrl,
    Port,
    Qr,
    QrFile,
    QrMode,
    Quiet,
    Reconnect,
    SignalOption,
    Stun,
    Timeout,
    Verbose,
    device_name,
    option,
    page_of,
    refuse_empty,
    refuse_idle_options,
    servers_of,
    typed,
)
from dcsend.cli.parsing import by_descriptions, one_of, parse_duration, parse_times
from dcsend.cli.repeating import repeated
from dcsend.entry import Existing
from dcsend.errors import UsageError
from dcsend.printable import printable
from dcsend.settings import STDIO, Settings, Signal

if TYPE_CHECKING:
    from dcsend.stage import DisplayOptions

__all__ = ["receive", "send"]


def send(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files and folders; - is standard input.", metavar="[PATH]...", show_default=False
        ),
    ] = None,
    to: Annotated[
        str,
        option(
            "--to",
            help="Code or link that the receiver printed; @FILE reads it from a file, @- prompts "
            "for it or reads a pipe.",
            env="CODE",
            metavar="CODE",
        ),
    ] = "",
    text: Annotated[
        str | None,
        option("--text", help="Send this text; the other side shows it.", metavar="TEXT"),
    ] = None,
    name: Annotated[
        str,
        option("--name", help="File name for standard input [stdin].", metavar="NAME"),
    ] = "stdin",
    links: Annotated[
        bool, option("--links", help="Send symbolic links in folders as links [not sent].")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        option(
            "--exclude",
            help="Leave out names that match this pattern; /GLOB matches only at the top of each "
            "folder in PATH. Repeatable.",
            metavar="GLOB",
        ),
    ] = None,
    dry_run: DryRun = False,
    server: Server = "",
    no_mdns: NoMdns = False,
    words: Words = 2,
    own_code: OwnCode = "",
    long: Long = False,
    relay_only: RelayOnly = False,
    signal: SignalOption = Signal.DIAL,
    port: Port = 0,
    address: Addresses = None,
    stun: Stun = None,
    expires: Expires = "1h",
    times: Annotated[
        str,
        option(
            "--times",
            help="Number of receivers that the code is for, at once or one after the other, or "
            "any [1].",
            metavar="N",
        ),
    ] = "1",
    page_url: PageUrl = "",
    no_page: NoPage = False,
    qr: QrMode = Qr.AUTO,
    qr_file: QrFile = None,
    connect_timeout: Timeout = 15.0,
    reconnect: Reconnect = "10m",
    no_inhibit: NoInhibit = False,
    limit_rate: LimitRate = "off",
    as_: As = None,
    quiet: Quiet = False,
    json: Json = False,
    json_to: JsonTo = None,
    debug: Debug = None,
    verbose: Verbose = False,
) -> None:
    """Send files, folders, standard input or a text.

    Prints a code. On the other machine, run: dcsend receive CODE
    """

    def run(options: DisplayOptions) -> int:
        from dcsend.runner import run_send
        from dcsend.session.limiting import parse_rate

        refuse_empty(context, "to", to)
        dialed, sources = rejoined(to, paths or []) if to else ("", paths or [])
        two_codes = by_descriptions(signal, dialed)
        refuse_idle_options(context, dialed, two_codes=two_codes)
        url, page = page_of(context, page_url, no_page=no_page, dials=bool(dialed))
        if text == "":
            raise UsageError("the text for --text is empty", "give a text, or leave out --text")
        if "name" in typed(context) and STDIO not in sources:
            raise UsageError(
                "--name is for what comes from standard input", "add - to what is sent"
            )
        has_short_codes = bool(named_server(server)) or not no_mdns
        one_way = not (dialed or two_codes or has_short_codes)
        servers = servers_of(context, stun, one_way=one_way)
        settings = Settings(
            code=dialed,
            again=repeated(context),
            port=port,
            addresses=tuple(address or ()),
            signal=signal,
            stun=servers[0],
            turn=servers[1],
            expires=parse_duration("1h" if dialed and not two_codes else expires),
            times=_times(context, times, is_dialed=not (dialed or two_codes)),
            connect_timeout=connect_timeout,
            reconnect=parse_duration(reconnect, zero=True),
            inhibit=not no_inhibit,
            limit_rate=parse_rate(limit_rate),
            name=device_name(as_),
            page=page,
            page_url=url,
            **short_code_settings(
                context, dials=bool(dialed), turn=bool(servers[1]), two_codes=two_codes
            ),
            links=links,
            exclude=tuple(exclude or ()),
            # A variable serves all transfers, and few contain everything that it excludes.
            warn_unmatched="exclude" in typed(context),
            stdin_name=name,
            text=text,
            dry_run=dry_run,
        )
        return run_send(sources, settings, options)

    leave(
        run,
        qr=qr.value,
        qr_file=qr_file,
        quiet=quiet,
        json=json,
        json_to=json_to,
        debug=debug,
        verbose=verbose,
        long=long,
        suggests_server=not server.strip(),
    )


def _times(context: typer.Context, given: str, *, is_dialed: bool) -> int | None:
    """Return the number of receivers; 1 where a variable can't have an effect."""
    times = parse_times(given)
    return times if is_dialed or "times" in typed(context) else 1


def receive(
    context: typer.Context,
    code: Annotated[
        list[str] | None,
        typer.Argument(
            help="Code or link that the sender printed; @FILE reads it from a file, @- prompts for "
            "it or reads a pipe. Without it, this side prints a code for: dcsend send PATH --to "
            "CODE",
            envvar="DCSEND_CODE",
            metavar="[CODE]",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    output: Annotated[
        str,
        option(
            "--output",
            "-o",
            help="Folder to save in [.], or a path with an extension (film.iso) for a single file; "
            "- is standard output, which must not be a terminal.",
            metavar="PATH",
        ),
    ] = ".",
    yes: Annotated[bool, option("--yes", "-y", help="Accept without asking.")] = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace existing files.")] = False,
    rename: Annotated[
        bool, option("--rename", help="Keep existing files and save as name (1).ext.")
    ] = False,
    skip: Annotated[
        bool, option("--skip", help="Do not receive files that exist, even if they differ.")
    ] = False,
    skip_same: Annotated[
        bool,
        option("--skip-same", help="Do not receive files that exist with the same size and time."),
    ] = False,
    checksum: Annotated[
        bool, option("--checksum", help="As --skip-same, but compare content, not times.")
    ] = False,
    keep: Keep = False,
    into: Into = "",
    max_total: MaxTotal = "",
    max_peer: MaxPeer = "",
    min_free: MinFree = "",
    dry_run: DryRun = False,
    server: Server = "",
    no_mdns: NoMdns = False,
    words: Words = 2,
    own_code: OwnCode = "",
    long: Long = False,
    relay_only: RelayOnly = False,
    signal: SignalOption = Signal.DIAL,
    port: Port = 0,
    address: Addresses = None,
    stun: Stun = None,
    expires: Expires = "1h",
    page_url: PageUrl = "",
    no_page: NoPage = False,
    qr: QrMode = Qr.AUTO,
    qr_file: QrFile = None,
    connect_timeout: Timeout = 15.0,
    reconnect: Reconnect = "10m",
    no_inhibit: NoInhibit = False,
    limit_rate: LimitRate = "off",
    as_: As = None,
    quiet: Quiet = False,
    json: Json = False,
    json_to: JsonTo = None,
    debug: Debug = None,
    verbose: Verbose = False,
) -> None:
    """Receive files or a text from the other side.

    You see what is offered before you accept it. Existing files are not replaced unless you choose
    so.
    """
    dialed = joined(code)

    def run(options: DisplayOptions) -> int:
        from dcsend.runner import run_receive
        from dcsend.session.limiting import parse_rate

        refuse_empty(context, "code", dialed)
        if len(code or ()) > 1 and (surplus := behind(code or ())):
            raise UsageError(
                f"{printable(joined(surplus))} follows the code and is not part of it",
                "to choose where to save, use --output PATH",
            )
        two_codes = by_descriptions(signal, dialed)
        refuse_idle_options(context, dialed, two_codes=two_codes)
        url, page = page_of(context, page_url, no_page=no_page, dials=bool(dialed))
        policies = {Existing.OVERWRITE: overwrite, Existing.RENAME: rename, Existing.SKIP: skip}
        given = {policy: on for policy, on in policies.items() if policy.value in typed(context)}
        has_short_codes = bool(named_server(server)) or not no_mdns
        one_way = not (dialed or two_codes or has_short_codes)
        servers = servers_of(context, stun, one_way=one_way)
        staying = keep_settings(
            context,
            keep=keep,
            dials=bool(dialed) or two_codes,
            yes=yes,
            into=into,
            sizes=(max_total, max_peer, min_free),
        )
        expires_in = expiry(context, expires, staying)
        settings = Settings(
            code=dialed,
            again=repeated(context),
            port=port,
            addresses=tuple(address or ()),
            signal=signal,
            stun=servers[0],
            turn=servers[1],
            expires=parse_duration("1h" if dialed and not two_codes else expires_in),
            connect_timeout=connect_timeout,
            reconnect=parse_duration(reconnect, zero=True),
            inhibit=not no_inhibit,
            limit_rate=parse_rate(limit_rate),
            name=device_name(as_),
            page=page,
            page_url=url,
            **short_code_settings(
                context, dials=bool(dialed), turn=bool(servers[1]), two_codes=two_codes
            ),
            output=output,
            existing=one_of(given or policies),
            skip_same=skip_same or checksum,
            checksum=checksum,
            **staying,
            dry_run=dry_run,
        )
        return run_receive(settings, options)

    if json and output == STDIO:
        # Only one can use standard output: the command line overrides a variable.
        given = {"json", "output"} & typed(context)
        json = given != {"output"}
        output = "." if given == {"json"} else output
    # With -o -, standard output carries the received bytes, even if --json is on, too.
    leave(
        run,
        qr=qr.value,
        qr_file=qr_file,
        quiet=quiet,
        json=json,
        json_to=json_to,
        debug=debug,
        verbose=verbose,
        long=long,
        suggests_server=not server.strip(),
        yes=yes,
        bytes_out=output == STDIO,
    )
