"""Send a folder and print the code for the receiver.

    python send_folder.py FOLDER

Ends when one receiver has everything.
"""

from __future__ import annotations

import asyncio
import sys

import dcsend


async def main(folder: str) -> int:
    """Send *folder* to one receiver; return the exit status."""
    settings = dcsend.Settings(links=True, expires=600.0)
    try:
        async with dcsend.offer(folder, settings=settings) as offer:
            print(f"on the other machine: dcsend receive {offer.code}", flush=True)
            done = await offer.finished()
    except dcsend.DcsendError as error:
        print(f"{error}; {error.hint}" if error.hint else error, file=sys.stderr)
        return error.exit_status
    print(f"{done.good} files, {done.bytes} bytes in {done.seconds:.1f} s")
    return done.exit


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(asyncio.run(main(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
