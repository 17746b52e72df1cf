"""Send a file and print a short code, which can be said aloud: `7-walrus-umbrella`.

    python short_code.py FILE [SERVER]

Without SERVER the code works in this network only. With it, the code names the server (a URL, a
host name, or `public`), and works between any two networks.
"""

from __future__ import annotations

import asyncio
import sys

import dcsend


def show(event: dcsend.Event) -> None:
    """Print each short code; a wrong try uses one up, and the next is shown."""
    match event:
        case dcsend.ShortCodeReady():
            print(f"on the other machine: dcsend receive {event.code}", flush=True)
        case dcsend.ShortCodeOver():
            print(f"no short code any more: {event.message}", file=sys.stderr)
        case dcsend.Warned():
            print(event.message, file=sys.stderr)


async def main(file: str, server: str = "") -> int:
    """Send *file* to one receiver; return the exit status."""
    settings = dcsend.Settings(server=server, mdns=True)
    try:
        async with dcsend.offer(file, settings=settings, on_event=show) as offer:
            done = await offer.finished()
    except dcsend.DcsendError as error:
        print(f"{error}; {error.hint}" if error.hint else error, file=sys.stderr)
        return error.exit_status
    print(f"sent: {done.bytes} bytes")
    return done.exit


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
