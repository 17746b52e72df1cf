"""`dcsend page`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dcsend.cli.leaving import leave

if TYPE_CHECKING:
    from dcsend.runner import Options

__all__ = ["page"]


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

    leave(run)
