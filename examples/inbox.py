"""Receive from a phone or a terminal through the command line and its JSON events.

    python inbox.py FOLDER

Works in the same way in any other language: start dcsend, and read one JSON object per line.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main(folder: str) -> int:
    """Receive once into *folder*; return the exit status of dcsend."""
    command = [sys.executable, "-m", "dcsend", "receive", "-o", folder, "-y", "--rename", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as dcsend:
        assert dcsend.stdout is not None
        for line in dcsend.stdout:
            event = json.loads(line)
            match event["event"]:
                case "code":
                    print(f"open {event['link']}\nor run: dcsend send PATH --to {event['code']}")
                case "file" if event["ok"]:
                    print(f"saved: {event['saved']}")
                case "error":
                    print(f"{event['message']}; {event['hint'] or ''}", file=sys.stderr)
                case "done":
                    print(f"files: {event['files']}, exit status: {event['exit']}")
            sys.stdout.flush()
    return dcsend.returncode


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
