"""`dcsend send` and `dcsend receive`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.leaving import leave
from dcsend.cli.options import (
    Addresses,
    EngineOption,
    Expires,
    Json,
    NoPage,
    PageUrl,
    Port,
    Qr,
    QrFile,
    QrMode,
    Quiet,
    SignalOption,
    Stun,
    Timeout,
    Verbose,
    option,
    page_of,
    refuse_empty,
    refuse_idle_options,
    servers_of,
    typed,
)
from dcsend.entry import Existing
from dcsend.errors import UsageError
from dcsend.settings import STDIO, Engine, Settings, Signal

if TYPE_CHECKING:
    from dcsend.runner import Options

__all__ = ["receive", "send"]


def send(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files and folders; - for standard input.", metavar="[PATH]...", show_default=False
        ),
    ] = None,
    to: Annotated[
        str,
        option(
            "--to",
            help="Code or link of a waiting receiver; @FILE or @- to read it.",
            env="CODE",
            metavar="CODE",
        ),
    ] = "",
    text: Annotated[
        str | None, option("--text", help="Send a text, shown at the other end.", metavar="TEXT")
    ] = None,
    name: Annotated[
        str,
        option("--name", help="Name for what comes from standard input [stdin].", metavar="NAME"),
    ] = "stdin",
    links: Annotated[
        bool, option("--links", help="Send symbolic links in folders as links [left out].")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        option(
            "--exclude",
            help="Leave out what matches this glob. Repeatable; the variable is split at spaces.",
            metavar="GLOB",
        ),
    ] = None,
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
    engine: EngineOption = Engine.DCSEND,
    quiet: Quiet = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Send files, folders, standard input or a text.

    Prints a code; on the other machine, run: dcsend receive CODE
    """

    def run(options: Options) -> int:
        from dcsend.runner import by_descriptions, parse_duration, run_send

        refuse_empty(context, "to")
        two_codes = by_descriptions(signal, to)
        refuse_idle_options(context, dials=bool(to), two_codes=two_codes)
        url, page = page_of(context, page_url, no_page=no_page, dials=bool(to))
        if "name" in typed(context) and STDIO not in (paths or []):
            raise UsageError(
                "--name is for what comes from standard input", "add - to what is sent"
            )
        servers = servers_of(context, stun, one_way=not (to or two_codes))
        settings = Settings(
            code=to,
            port=port,
            addresses=tuple(address or ()),
            signal=signal,
            stun=servers[0],
            turn=servers[1],
            expires=parse_duration("1h" if to and not two_codes else expires),
            connect_timeout=connect_timeout,
            engine=engine,
            page=page,
            page_url=url,
            links=links,
            exclude=tuple(exclude or ()),
            stdin_name=name,
            text=text,
        )
        return run_send(paths or [], settings, options)

    leave(run, qr=qr.value, qr_file=qr_file, quiet=quiet, json=json, verbose=verbose)


def receive(
    context: typer.Context,
    code: Annotated[
        str,
        typer.Argument(
            help="Code or link of a waiting sender; @FILE or @- to read it. Without one, "
            "a code is printed for: dcsend send PATH --to CODE",
            envvar="DCSEND_CODE",
            metavar="[CODE]",
            show_default=False,
            show_envvar=True,
        ),
    ] = "",
    output: Annotated[
        str,
        option(
            "--output",
            "-o",
            help="Folder to save in [.]; - for standard output, unless that is a terminal.",
            metavar="DIR",
        ),
    ] = ".",
    yes: Annotated[bool, option("--yes", "-y", help="Accept without asking.")] = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace files that exist.")] = False,
    rename: Annotated[
        bool, option("--rename", help="Save beside files that exist: name (1).ext.")
    ] = False,
    skip: Annotated[bool, option("--skip", help="Leave out files that exist.")] = False,
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
    engine: EngineOption = Engine.DCSEND,
    quiet: Quiet = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Receive what the other side sends.

    Nothing is accepted before you have seen what is offered, and nothing is overwritten.
    """

    def run(options: Options) -> int:
        from dcsend.runner import by_descriptions, one_of, parse_duration, run_receive

        refuse_empty(context, "code")
        two_codes = by_descriptions(signal, code)
        refuse_idle_options(context, dials=bool(code), two_codes=two_codes)
        url, page = page_of(context, page_url, no_page=no_page, dials=bool(code))
        policies = {Existing.OVERWRITE: overwrite, Existing.RENAME: rename, Existing.SKIP: skip}
        given = {policy: on for policy, on in policies.items() if policy.value in typed(context)}
        servers = servers_of(context, stun, one_way=not (code or two_codes))
        settings = Settings(
            code=code,
            port=port,
            addresses=tuple(address or ()),
            signal=signal,
            stun=servers[0],
            turn=servers[1],
            expires=parse_duration("1h" if code and not two_codes else expires),
            connect_timeout=connect_timeout,
            engine=engine,
            page=page,
            page_url=url,
            output=output,
            existing=one_of(given or policies),
        )
        return run_receive(settings, options)

    if json and output == STDIO:
        # Only one can have standard output: the command line beats a variable.
        given = {"json", "output"} & typed(context)
        json = given != {"output"}
        output = "." if given == {"json"} else output
    # With -o -, standard output is for the bytes, even where --json is wrong beside it.
    leave(
        run,
        qr=qr.value,
        qr_file=qr_file,
        quiet=quiet,
        json=json,
        verbose=verbose,
        yes=yes,
        bytes_out=output == STDIO,
    )
