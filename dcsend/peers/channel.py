"""A data channel on asyncio: `contract.Channel` over a channel of `dcsend.sctp`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from dcsend.errors import ConnectionFailed, DcsendError, UsageError
from dcsend.peers.contract import MAX_QUEUED
from dcsend.peers.receive_queue import ReceiveQueue
from dcsend.sctp.channels import ChannelParameters, DataChannel

__all__ = ["ChannelParameters", "SctpChannel"]

logger = logging.getLogger(__name__)


class Transport(Protocol):
    """What a channel needs of `sctp_transport.SctpTransport`."""

    def now(self) -> float:
        """Return the time in seconds."""
        ...

    def send_soon(self) -> None:
        """Send what is queued in this iteration of the event loop."""
        ...

    def release(self, size: int) -> None:
        """Allow the peer to send *size* bytes more."""
        ...


class SctpChannel:
    """One data channel of a peer connection."""

    def __init__(
        self,
        transport: Transport,
        channel: DataChannel,
        *,
        max_message_size: int,
        high_water: int,
        max_queued: int = MAX_QUEUED,
        on_message: Callable[[SctpChannel, bytes | str], None] | None = None,
    ) -> None:
        """Wrap *channel*.

        Args:
            transport: its association.
            channel: open or not; its callbacks for messages and for room are set here.
            max_message_size: bytes that the peer accepts in one message; 0 for any number.
            high_water: bytes in the send queue from which on `send` returns False. `writable`
                returns at half of them.
            max_queued: bytes that wait for `receive`, at most.
            on_message: receives each message in place of `receive`. It must not block.
        """
        self.label = channel.parameters.label
        self.max_message_size = max_message_size
        self._transport = transport
        self._channel = channel
        self._high_water = high_water
        self._on_message = on_message
        self._queue = ReceiveQueue(max_queued)
        self._end: DcsendError | None = None
        self._room = asyncio.Event()
        channel.on_message = self._queue.put if on_message is None else self._pass_on
        channel.on_room = self._check_room

    @property
    def id(self) -> int:
        """Stream id, 0 to 65534."""
        return self._channel.id

    @property
    def protocol(self) -> str:
        """Name of the subprotocol; empty for none."""
        return self._channel.parameters.protocol

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._channel.is_open

    def send(self, message: bytes | str) -> bool:
        """Queue a message, see `contract.Channel.send`."""
        if self._end is not None:
            raise self._end
        if not self._channel.is_open:
            raise ConnectionFailed(f"the channel {self.label!r} is closed")
        if self._channel.queued >= self._high_water:
            return False
        try:
            self._channel.send(message, self._transport.now())
        except UnicodeEncodeError:
            raise UsageError("the message is not valid Unicode text") from None
        except ValueError:
            raise UsageError(
                "the message is longer than the other side accepts", "send less at once"
            ) from None
        self._transport.send_soon()
        return True

    async def writable(self) -> None:
        """Wait for room in the send queue, see `contract.Channel.writable`."""
        while self._end is None and self._channel.queued >= self._high_water:
            self._room.clear()
            await self._room.wait()
        if self._end is not None:
            raise self._end

    async def receive(self) -> bytes | str:
        """Return the next message, see `contract.Channel.receive`."""
        message, size = await self._queue.get()
        self._transport.release(size)
        return message

    async def arrived(self) -> None:
        """Return when a message waits for `receive`, which is not called meanwhile.

        Raises:
            DcsendError: as `receive`.
        """
        await self._queue.arrived()

    def close(self) -> None:
        """Close the channel after the queued messages are sent."""
        self._channel.close()
        self._transport.send_soon()

    def end(self, reason: DcsendError) -> None:
        """Let both directions raise *reason*; messages that have arrived can be received first."""
        if self._end is None:
            logger.debug("channel %d ends: %s", self.id, reason.message)
            self._end = reason
            self._queue.end(reason)
            self._room.set()

    def _pass_on(self, message: bytes | str, size: int) -> None:
        assert self._on_message is not None
        self._transport.release(size)
        self._on_message(self, message)

    def _check_room(self) -> None:
        if self._channel.queued <= self._high_water // 2:
            self._room.set()
