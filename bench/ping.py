"""Round-trip times of small datagrams, while another flow fills the queue.

    python -m bench.ping answer      python -m bench.ping ask ADDRESS

The client sends one each 20 ms and prints a line `SECONDS ROUND_TRIP` for each answer, both in
seconds, the first by the monotonic clock at which it was sent; at the end of its input,
`sent N`.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from typing import Final

__all__: list[str] = []

_PORT: Final = 7008
_EACH: Final = 0.02
"Seconds between two datagrams: 50 per second sample a queue without filling it."
_TIME: Final = struct.Struct("!d")


def _answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("", _PORT))
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([port, sys.stdin], [], [])
            if sys.stdin in readable:
                return
            data, source = port.recvfrom(64)
            port.sendto(data, source)


def _ask(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.connect((address, _PORT))
        sent, following = 0, time.monotonic()
        while True:
            now = time.monotonic()
            if now >= following:
                port.send(_TIME.pack(now))
                sent += 1
                following = now + _EACH
            readable, _, _ = select.select([port, sys.stdin], [], [], max(0.0, following - now))
            if port in readable:
                (then,) = _TIME.unpack(port.recv(64))
                print(f"{then:.4f} {time.monotonic() - then:.6f}", flush=True)
            if sys.stdin in readable:
                print(f"sent {sent}", flush=True)
                return


if __name__ == "__main__":
    _answer() if sys.argv[1] == "answer" else _ask(sys.argv[2])
