"""One end of a TCP flow: a download beside other flows on a line.

    python -m bench.tcpflow send ADDRESS BYTES LIMIT ALGORITHM      python -m bench.tcpflow receive

The sender's congestion control is the kernel's ALGORITHM, by a socket option. Both print lines of
JSON as in `bench.bare`; the receiver prints `{"ready": true}` first.
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from typing import Final

__all__ = ["PORT"]

PORT: Final = 7007
"Any port is free in a new network namespace."

_CHUNK: Final = 1 << 16
_REPORT_INTERVAL: Final = 0.25
"Seconds between two lines of the receiver."


def _report(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def _send(address: str, total: int, limit: float, algorithm: str) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, algorithm.encode())
        connection.connect((address, PORT))
        start = time.monotonic()
        chunk, sent = bytes(_CHUNK), 0
        while sent < total and (left := start + limit - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                sent += connection.send(chunk[: total - sent])
            except TimeoutError:
                break
        done = sent == total
        if done:
            # The receiver closes when it has all bytes.
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(max(0.01, start + limit - time.monotonic()))
            try:
                connection.recv(1)
            except TimeoutError:
                done = False
        _report(seconds=round(time.monotonic() - start, 3), done=done)


def _receive() -> None:
    with socket.create_server(("", PORT)) as server:
        _report(ready=True)
        connection, _ = server.accept()
    with connection:
        arrived, buffer = 0, bytearray(1 << 20)
        next_line = time.monotonic() + _REPORT_INTERVAL
        while size := _read(connection, buffer):
            arrived += size
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + _REPORT_INTERVAL
                _report(arrived=arrived)
    _report(arrived=arrived)


def _read(connection: socket.socket, buffer: bytearray) -> int:
    try:
        return connection.recv_into(buffer)
    except ConnectionResetError:  # the sender's time is over
        return 0


def _main() -> None:
    parser = argparse.ArgumentParser(description="One end of a TCP flow.")
    parser.add_argument("part", choices=("send", "receive"))
    parser.add_argument("address", nargs="?")
    parser.add_argument("total", type=int, nargs="?")
    parser.add_argument("limit", type=float, nargs="?")
    parser.add_argument("algorithm", nargs="?")
    chosen = parser.parse_args()
    if chosen.part == "send":
        _send(chosen.address, chosen.total, chosen.limit, chosen.algorithm)
    else:
        _receive()


if __name__ == "__main__":
    _main()
