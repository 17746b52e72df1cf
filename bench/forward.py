"""Connections to a port of this host's loopback, carried on to another host.

    python -m bench.forward PORT ADDRESS

A page from `http://localhost` may use what one from another machine may not: the private file
system, for one. So a browser in a namespace of its own gets dcsend's page through this.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

__all__: list[str] = []


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Either side may close at any time; the other one reads the end of the stream.
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _main(port: int, address: str) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(address, port)
        await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer))

    server = await asyncio.start_server(accepted, "127.0.0.1", port)
    async with server:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
