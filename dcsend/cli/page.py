"""`dcsend page`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.code_options import Server
from dcsend.cli.leaving import leave
from dcsend.errors import DestinationError, UsageError
from dcsend.printable import printable, system_reason
from dcsend.settings import STDIO

if TYPE_CHECKING:
    from dcsend.stage import DisplayOptions

__all__ = ["page"]


def page(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="File to write; - is standard output.",
            metavar="FILE",
            show_default=False,
        ),
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    service_worker: Annotated[
        bool,
        typer.Option("--service-worker", help="Write the service worker instead of the page."),
    ] = False,
    server: Server = "",
) -> None:
    """Write the page for browsers to a file.

    Host the file on a web server, or open it from disk. If it is hosted over https, the optional
    script dcsend-service-worker.js (--service-worker) in the same folder lets every browser save
    files of any size. With --server, the page shows short codes of its own and needs no server in
    those that are entered.
    """

    def run(options: DisplayOptions) -> int:
        return _write(output, overwrite=overwrite, service_worker=service_worker, server=server)

    leave(run)


def _write(output: str, *, overwrite: bool, service_worker: bool, server: str) -> int:
    """Write the page, or the script for beside it; return the exit status."""
    from dcsend.display.streams import unbuffered_stdout
    from dcsend.serving.page import read_page
    from dcsend.serving.saving import save

    if not output:
        raise UsageError("the path for --output is empty", "name a file, or - for standard output")
    if service_worker and output.lower().endswith((".html", ".htm")):
        raise UsageError(
            f"--service-worker writes a script, and {printable(output)} is the name of a page",
            "the page looks for dcsend-service-worker.js beside it",
        )
    page = read_page(server=_url(server))
    content = page.service_worker if service_worker else page.content
    if output == STDIO:
        rest = memoryview(content)
        try:
            with unbuffered_stdout() as file:
                while rest:
                    rest = rest[file.write(rest) :]
        except BrokenPipeError:
            pass  # the reader has closed the pipe
        except OSError as exc:
            raise DestinationError(f"can't write to standard output: {system_reason(exc)}") from exc
    else:
        # Unlike Path.expanduser, it does not fail for the home of an unknown user.
        save(content, Path(os.path.expanduser(output)), overwrite=overwrite)
    return 0


def _url(server: str) -> str:
    """Return the URL of a server; empty for none.

    Raises:
        UsageError: *server* names none.
    """
    if not server.strip():
        return ""
    from dcsend.rendezvous.servers import read_option

    named = read_option(server)
    return named.url if named is not None else ""
