"""The command line: options into `Settings`, errors into exit statuses. Only importer of typer.

Everything heavy is imported inside the commands: the code must be on the screen within
300 ms of the start.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcsend._version import __version__
from dcsend.entry import Existing
from dcsend.errors import DcsendError, UsageError
from dcsend.settings import DEFAULT_STUN, STDIO, Settings

if TYPE_CHECKING:
    from dcsend.runner import Options

__all__ = ["app", "main"]

# click's, under whatever name typer keeps it: all that a wrong command line raises.
_WrongUsage: type[Exception] = typer.BadParameter.__mro__[1]

_OF_LISTENER = ("address", "stun", "expires", "page_url", "no_page", "qr", "qr_file")
"Parameters without a meaning for the side that is given a code."
_OF_DIALER = ("connect_timeout",)
"Parameters without a meaning for the side that prints the code."

_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
"What typer takes for yes in a variable."

app = typer.Typer(
    name="dcsend",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Qr(StrEnum):
    """How the QR code is drawn in the terminal."""

    AUTO = "auto"
    HALF = "half"
    FULL = "full"
    NONE = "none"


def _finite(seconds: float) -> float:
    """Refuse what passes every comparison with a limit: not a number."""
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a number of seconds")
    return seconds


def _option(*names: str, help: str, env: str = "", **more: Any) -> Any:  # noqa: ANN401
    """Declare an option that has its DCSEND_ variable."""
    variable = "DCSEND_" + (env or names[0].lstrip("-").split("/")[0]).upper().replace("-", "_")
    return typer.Option(*names, help=help, envvar=variable, show_default=False, **more)


Port = Annotated[
    int, _option("--port", help="UDP and TCP port [random].", metavar="PORT", min=0, max=65535)
]
Addresses = Annotated[
    list[str] | None,
    _option(
        "--address",
        help="IP address to put into the code in place of those found, such as a forwarded one. "
        "Repeatable; the variable is split at spaces.",
        metavar="IP",
    ),
]
Stun = Annotated[
    list[str] | None,
    _option(
        "--stun",
        help=f"STUN server, or none [{DEFAULT_STUN[0]}]. "
        "Repeatable; the variable is split at spaces.",
        metavar="SERVER",
    ),
]
Expires = Annotated[
    str, _option("--expires", help="How long the code works: 90s, 10m, 1h [1h].", metavar="TIME")
]
PageUrl = Annotated[
    str, _option("--page-url", help="Where a copy of the page is hosted.", metavar="URL")
]
NoPage = Annotated[
    bool, _option("--no-page", help="Serve no page for browsers; the link is for dcsend only.")
]
QrMode = Annotated[
    Qr, _option("--qr", help="QR code: auto, half, full or none [auto].", metavar="HOW")
]
QrFile = Annotated[
    Path | None,
    _option("--qr-file", help="Write the QR code to a .png or .svg file, too.", metavar="FILE"),
]
Timeout = Annotated[
    float,
    _option(
        "--connect-timeout",
        help="Seconds to try to connect to the side that printed the code [15].",
        metavar="SECONDS",
        min=1,
        max=600,
        callback=_finite,
    ),
]
Quiet = Annotated[bool, _option("--quiet", "-q", help="Print only the code, and errors.")]
Json = Annotated[bool, _option("--json", help="Print events as JSON, one per line.")]
Verbose = Annotated[bool, _option("--verbose", "-v", help="Show the random messages, too.")]


@app.command()
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
        _option(
            "--to",
            help="Code or link of a waiting receiver; @FILE or @- to read it.",
            env="CODE",
            metavar="CODE",
        ),
    ] = "",
    text: Annotated[
        str | None, _option("--text", help="Send a text, shown at the other end.", metavar="TEXT")
    ] = None,
    name: Annotated[
        str,
        _option("--name", help="Name for what comes from standard input [stdin].", metavar="NAME"),
    ] = "stdin",
    links: Annotated[
        bool, _option("--links", help="Send symbolic links in folders as links [left out].")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        _option(
            "--exclude",
            help="Leave out what matches this glob. Repeatable; the variable is split at spaces.",
            metavar="GLOB",
        ),
    ] = None,
    port: Port = 0,
    address: Addresses = None,
    stun: Stun = None,
    expires: Expires = "1h",
    page_url: PageUrl = "",
    no_page: NoPage = False,
    qr: QrMode = Qr.AUTO,
    qr_file: QrFile = None,
    connect_timeout: Timeout = 15.0,
    quiet: Quiet = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Send files, folders, standard input or a text.

    Prints a code; on the other machine, run: dcsend receive CODE
    """

    def run(options: Options) -> int:
        from dcsend.runner import parse_duration, run_send

        _refuse_idle_options(context, dials=bool(to))
        url, page = _page(context, page_url, no_page=no_page, dials=bool(to))
        if "name" in _typed(context) and STDIO not in (paths or []):
            raise UsageError(
                "--name is for what comes from standard input", "add - to what is sent"
            )
        settings = Settings(
            code=to,
            port=port,
            addresses=tuple(address or ()),
            stun=_stun(stun),
            expires=parse_duration("1h" if to else expires),
            connect_timeout=connect_timeout,
            page=page,
            page_url=url,
            links=links,
            exclude=tuple(exclude or ()),
            stdin_name=name,
            text=text,
        )
        return run_send(paths or [], settings, options)

    _exit(run, qr=qr.value, qr_file=qr_file, quiet=quiet, json=json, verbose=verbose)


@app.command()
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
        _option(
            "--output",
            "-o",
            help="Folder to save in [.]; - for standard output, unless that is a terminal.",
            metavar="DIR",
        ),
    ] = ".",
    yes: Annotated[bool, _option("--yes", "-y", help="Accept without asking.")] = False,
    overwrite: Annotated[bool, _option("--overwrite", help="Replace files that exist.")] = False,
    rename: Annotated[
        bool, _option("--rename", help="Save beside files that exist: name (1).ext.")
    ] = False,
    skip: Annotated[bool, _option("--skip", help="Leave out files that exist.")] = False,
    port: Port = 0,
    address: Addresses = None,
    stun: Stun = None,
    expires: Expires = "1h",
    page_url: PageUrl = "",
    no_page: NoPage = False,
    qr: QrMode = Qr.AUTO,
    qr_file: QrFile = None,
    connect_timeout: Timeout = 15.0,
    quiet: Quiet = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Receive what the other side sends.

    Nothing is accepted before you have seen what is offered, and nothing is overwritten.
    """

    def run(options: Options) -> int:
        from dcsend.runner import one_of, parse_duration, run_receive

        _refuse_idle_options(context, dials=bool(code))
        url, page = _page(context, page_url, no_page=no_page, dials=bool(code))
        policies = {Existing.OVERWRITE: overwrite, Existing.RENAME: rename, Existing.SKIP: skip}
        typed = {policy: on for policy, on in policies.items() if policy.value in _typed(context)}
        settings = Settings(
            code=code,
            port=port,
            addresses=tuple(address or ()),
            stun=_stun(stun),
            expires=parse_duration("1h" if code else expires),
            connect_timeout=connect_timeout,
            page=page,
            page_url=url,
            output=output,
            existing=one_of(typed or policies),
        )
        return run_receive(settings, options)

    if json and output == STDIO:
        # Only one can have standard output: the command line beats a variable.
        given = {"json", "output"} & _typed(context)
        json = given != {"output"}
        output = "." if given == {"json"} else output
    # With -o -, standard output is for the bytes, even where --json is wrong beside it.
    _exit(
        run,
        qr=qr.value,
        qr_file=qr_file,
        quiet=quiet,
        json=json,
        verbose=verbose,
        yes=yes,
        bytes_out=output == STDIO,
    )


@app.command()
def page(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="File to write; - for standard output.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file.")] = False,
    service_worker: Annotated[
        bool,
        typer.Option("--service-worker", help="Write the script for beside a hosted page."),
    ] = False,
) -> None:
    """Write the page for browsers to a file, to host it or to open it from disk.

    Beside a copy hosted over https, the script dcsend-service-worker.js (see --service-worker)
    lets every browser save files of any size. It is optional.
    """

    def run(options: Options) -> int:
        from dcsend.runner import write_page

        return write_page(output, overwrite=overwrite, service_worker=service_worker)

    _exit(run)


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    """Send files directly between terminals and browsers: encrypted, no server, no account.

    On one machine: dcsend send PATH; then, on the other: dcsend receive CODE
    """
    from dcsend.display.streams import Stream

    if version:
        Stream.stdout().line(f"dcsend {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        Stream.stderr().line(context.get_help())
        raise typer.Exit(2)


def _typed(context: typer.Context) -> set[str]:
    """Return the parameters that the command line itself gives, not a variable."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def _refuse_idle_options(context: typer.Context, *, dials: bool) -> None:
    """Refuse options that would do nothing on this side; variables are for both sides.

    Raises:
        UsageError: the command line has one.
    """
    typed = _typed(context)
    idle = [name for name in (_OF_LISTENER if dials else _OF_DIALER) if name in typed]
    if idle:
        names = " and ".join("--" + name.replace("_", "-") for name in idle)
        side = "prints the code" if dials else "is given the code"
        raise UsageError(
            f"{names} {'are' if len(idle) > 1 else 'is'} for the side that {side}",
            "leave it out here, or use it on the other side",
        )


def _page(context: typer.Context, url: str, *, no_page: bool, dials: bool) -> tuple[str, bool]:
    """Return where the page is hosted, and whether it is served here; `--no-page` is neither.

    Raises:
        UsageError: both are wanted, and neither is on the command line alone.
    """
    if url and no_page and not dials:
        typed = {"page_url", "no_page"} & _typed(context)
        if len(typed) != 1:
            raise UsageError("--page-url and --no-page contradict each other", "choose one of them")
        no_page = typed == {"no_page"}
    return ("", False) if no_page else (url, not url)


def _stun(servers: list[str] | None) -> tuple[str, ...]:
    if not servers:
        return DEFAULT_STUN
    return tuple(server for server in servers if server.strip().lower() != "none")


def _exit(run: Callable[[Options], int], *, bytes_out: bool = False, **chosen: Any) -> None:  # noqa: ANN401
    """Run a command and leave with its status; what never began is told here."""
    from dcsend.runner import Options

    options = Options(**chosen)
    try:
        status = run(options)
    except DcsendError as exc:
        status = exc.exit_status
        _tell(exc, json=options.json and not bytes_out)
    raise typer.Exit(status)


def _tell(error: DcsendError, *, json: bool) -> None:
    """Say why nothing began: to a program, or to a person."""
    from dcsend.display.streams import Stream

    if json:
        from dcsend.display.jsonlines import JsonDisplay

        JsonDisplay(Stream.stdout()).refuse(error)
    else:
        from dcsend.display.quiet import complain

        complain(Stream.stderr(), error.message, error.hint)


def main() -> None:
    """Run the command line; every error becomes a line or two, and an exit status."""
    from dcsend.display.streams import release

    try:
        status = app(prog_name="dcsend", standalone_mode=False) or 0
    except _WrongUsage as exc:
        status = 2
        _tell(_explained(exc), json=_wants_events(sys.argv[1:]))
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    release()
    if any(thread.name.startswith("dcsend-load-") for thread in threading.enumerate()):
        # A native library that is just being loaded may crash in an interpreter that takes itself
        # apart: 1 of 48 runs with `--expires 1s` on a busy machine (Python 3.11).
        os._exit(status)
    sys.exit(status)


def _explained(wrong: Any) -> UsageError:  # noqa: ANN401 - see _WrongUsage
    """Return what is wrong with a command line, in our own manner."""
    message = " ".join(wrong.format_message().split()).rstrip(".")
    message = message.replace("Value error, ", "")  # what pydantic, below typer, adds
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context else "dcsend"
    return UsageError(message[:1].lower() + message[1:], f"{command} --help")


def _wants_events(arguments: Sequence[str]) -> bool:
    """Tell whether a program reads standard output, by a command line that can't be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    pairs = itertools.pairwise(options)
    if {"-o-", "--output=-"} & {*options} or {("-o", "-"), ("--output", "-")} & {*pairs}:
        return False  # it is for the received bytes
    return "--json" in options or os.environ.get("DCSEND_JSON", "").strip().lower() in _TRUE
