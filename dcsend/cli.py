"""The command line: options into `Settings`, errors into exit statuses. Only importer of typer.

Everything heavy is imported inside the commands: the code must be on the screen within
300 ms of the start.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dcsend._version import __version__
from dcsend.entry import Existing
from dcsend.settings import DEFAULT_STUN, Settings

if TYPE_CHECKING:
    from dcsend.errors import DcsendError

__all__ = ["main"]

app = typer.Typer(
    name="dcsend",
    help="Send files directly between terminals and browsers: encrypted, no server, no account.",
    no_args_is_help=True,
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


def _option(*names: str, help: str, env: str = "", **more: Any) -> Any:  # noqa: ANN401
    """Declare an option that has its DCSEND_ variable."""
    variable = "DCSEND_" + (env or names[0].lstrip("-").split("/")[0]).upper().replace("-", "_")
    return typer.Option(*names, help=help, envvar=variable, show_default=False, **more)


Port = Annotated[int, _option("--port", help="UDP port to use [random].", min=0, max=65535)]
Addresses = Annotated[
    list[str] | None,
    _option(
        "--address",
        help="IP address to put into the code in place of those found, such as a forwarded one. "
        "Repeatable.",
    ),
]
Stun = Annotated[
    list[str] | None,
    _option("--stun", help=f"STUN server, or none [{DEFAULT_STUN[0]}]. Repeatable."),
]
Expires = Annotated[
    str, _option("--expires", help="How long the code works: 90s, 10m, 1h [1h].", metavar="TIME")
]
PageUrl = Annotated[
    str, _option("--page-url", help="Where the page of the link is hosted.", metavar="URL")
]
QrMode = Annotated[Qr, _option("--qr", help="QR code: auto, half, full or none [auto].")]
QrFile = Annotated[
    Path | None, _option("--qr-file", help="Write the QR code to a .png or .svg file, too.")
]
Timeout = Annotated[
    float,
    _option("--connect-timeout", help="Seconds to try to connect [15].", min=1, max=600),
]
Quiet = Annotated[bool, _option("--quiet", "-q", help="Print only the code, and errors.")]
Json = Annotated[bool, _option("--json", help="Print events as JSON, one per line.")]
Verbose = Annotated[bool, _option("--verbose", "-v", help="Show the random messages, too.")]


@app.command()
def send(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files and folders; - for standard input.", show_default=False),
    ] = None,
    to: Annotated[
        str,
        _option(
            "--to", help="Code or link of a waiting receiver; @FILE or @- to read it.", env="CODE"
        ),
    ] = "",
    text: Annotated[
        str | None, _option("--text", help="Send a text, shown at the other end.")
    ] = None,
    name: Annotated[
        str, _option("--name", help="Name for what comes from standard input [stdin].")
    ] = "stdin",
    links: Annotated[
        bool, _option("--links", help="Send symbolic links in folders as links [left out].")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        _option("--exclude", help="Leave out what matches this glob. Repeatable.", metavar="GLOB"),
    ] = None,
    port: Port = 0,
    address: Addresses = None,
    stun: Stun = None,
    expires: Expires = "1h",
    page_url: PageUrl = "dcsend:",
    qr: QrMode = Qr.AUTO,
    qr_file: QrFile = None,
    connect_timeout: Timeout = 15.0,
    quiet: Quiet = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Send files, folders, standard input or a text.

    Prints a code; on the other machine run: dcsend receive CODE
    """

    def run() -> int:
        from dcsend.runner import Options, parse_duration, run_send

        return run_send(
            paths or [],
            Settings(
                code=to,
                port=port,
                addresses=tuple(address or ()),
                stun=_stun(stun),
                expires=parse_duration(expires),
                connect_timeout=connect_timeout,
                page_url=page_url,
                links=links,
                exclude=tuple(exclude or ()),
                stdin_name=name,
                text=text,
            ),
            Options(qr.value, qr_file, quiet=quiet, json=json, verbose=verbose),
        )

    _exit(run, json=json)


@app.command()
def receive(
    code: Annotated[
        str,
        typer.Argument(
            help="Code or link of a waiting sender; @FILE or @- to read it. Without one, "
            "a code is printed for: dcsend send PATH --to CODE",
            envvar="DCSEND_CODE",
            show_default=False,
            show_envvar=True,
        ),
    ] = "",
    output: Annotated[
        str,
        _option("--output", "-o", help="Folder to save in [.]; - for standard output."),
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
    page_url: PageUrl = "dcsend:",
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

    def run() -> int:
        from dcsend.runner import Options, one_of, parse_duration, run_receive

        return run_receive(
            Settings(
                code=code,
                port=port,
                addresses=tuple(address or ()),
                stun=_stun(stun),
                expires=parse_duration(expires),
                connect_timeout=connect_timeout,
                page_url=page_url,
                output=output,
                existing=one_of(
                    {
                        Existing.OVERWRITE: overwrite,
                        Existing.RENAME: rename,
                        Existing.SKIP: skip,
                    }
                ),
            ),
            Options(qr.value, qr_file, quiet=quiet, json=json, verbose=verbose, yes=yes),
        )

    _exit(run, json=json)


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> None:
    """Send files directly between terminals and browsers: encrypted, no server, no account."""
    if version:
        from dcsend.display.streams import Stream

        Stream.stdout().line(f"dcsend {__version__}")
        raise typer.Exit


def _stun(servers: list[str] | None) -> tuple[str, ...]:
    if not servers:
        return DEFAULT_STUN
    return tuple(server for server in servers if server.strip().lower() != "none")


def _exit(run: Callable[[], int], *, json: bool) -> None:
    """Run a command and leave with its status; every error becomes two lines, or two events."""
    from dcsend.errors import DcsendError

    try:
        status = run()
    except DcsendError as exc:
        _report(exc, json=json)
        status = exc.exit_status
    except KeyboardInterrupt:
        status = 130
    raise typer.Exit(status)


def _report(error: DcsendError, *, json: bool) -> None:
    """Tell what went wrong before there was a run that could."""
    from dcsend.display.jsonlines import JsonDisplay
    from dcsend.display.quiet import complain
    from dcsend.display.streams import Stream
    from dcsend.session.events import Failed, Finished

    if json:
        display = JsonDisplay(Stream.stdout(), verbose=False)
        display.show(Failed(error))
        display.show(Finished(ok=False, exit=error.exit_status, bytes=0, seconds=0.0))
    else:
        complain(Stream.stderr(), error.message, error.hint)


def main() -> None:
    """Run the command line."""
    app()
