"""Receive into a folder, show the progress, and accept at most 1 GB.

    python receive_folder.py CODE FOLDER

FOLDER is created if it is missing.
"""

from __future__ import annotations

import asyncio
import sys

import dcsend

LIMIT = 1_000_000_000
"Bytes."


async def accept(manifest: dcsend.ManifestKnown) -> dcsend.Existing | bool:
    """Decline what is too large or of unknown size; existing files are kept."""
    if manifest.bytes is None or manifest.bytes > LIMIT:
        return False
    return dcsend.Existing.RENAME


def show(event: dcsend.Event) -> None:
    """Print the progress and each saved file."""
    match event:
        case dcsend.Connected():
            print(f"connected to {event.address} ({event.route})")
        case dcsend.Progressed(total=total) if total:
            rate = f", {event.rate / 1e6:.1f} MB/s" if event.rate else ""
            print(f"{event.bytes / total:4.0%}{rate}")
        case dcsend.FileFinished():
            print(f"{event.status}: {event.saved or event.path} {event.sha256 or event.reason}")


async def main(code: str, folder: str) -> int:
    """Receive what the code offers; return the exit status."""
    try:
        done = await dcsend.receive(code, output=folder, accept=accept, on_event=show)
    except dcsend.DcsendError as error:
        print(f"{error}; {error.hint}" if error.hint else error, file=sys.stderr)
        return error.exit_status
    return done.exit


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
