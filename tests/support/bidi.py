"""WebDriver BiDi: commands to a browser and events from it, over one WebSocket.

The connection lives in a thread with an event loop of its own. So one browser serves many tests,
each of which has its own event loop, a test may block without the browser noticing, and the
thread may be in another network namespace than the test.

https://w3c.github.io/webdriver-bidi/
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import aiohttp

from tests.support.netns import enter
from tests.support.processes import PATIENCE

__all__ = ["BidiError", "Json", "Wire"]

Json = dict[str, Any]
"A JSON object."

T = TypeVar("T")

_MAX_MESSAGE: Final = 256 * 1024 * 1024
"Bytes of one answer; a screenshot has some megabytes."


class BidiError(Exception):
    """The browser has refused a command, or has ended."""


class Wire:
    """One connection to one browser; commands from any thread, events in its own thread.

    Args:
        namespace: the network namespace in which the browser runs; empty: that of the test.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._listeners: list[Callable[[str, Json], None]] = []
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="bidi", daemon=True)
        self._thread.start()
        self._ready.result(PATIENCE)

    @property
    def alive(self) -> bool:
        """Whether the browser still listens."""
        return self._reading is not None and not self._reading.done()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run *work* in the thread of this connection."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* in the thread of this connection, and wait for it in the event loop here."""
        return await asyncio.wrap_future(self.submit(work))

    def listen(self, listener: Callable[[str, Json], None]) -> None:
        """Call *listener* with the name and the parameters of each event. It must not block."""
        self._loop.call_soon_threadsafe(self._listeners.append, listener)

    def ignore(self, listener: Callable[[str, Json], None]) -> None:
        """Undo `listen`."""
        self._loop.call_soon_threadsafe(self._listeners.remove, listener)

    # To be run by `submit` or `ask`

    async def post(self, url: str, content: Json) -> Json:
        """Send a request of classic WebDriver, which creates the session."""
        async with self._client().post(url, json=content) as response:
            answer = await response.json()
        value: Json = answer["value"]
        if "error" in value:
            raise BidiError(f"{value['error']}: {value['message']}")
        return value

    async def connect(self, url: str) -> None:
        """Open the WebSocket."""
        self._socket = await self._client().ws_connect(url, max_msg_size=_MAX_MESSAGE)
        self._reading = asyncio.create_task(self._read(self._socket))

    async def command(
        self,
        method: str,
        timeout: float = PATIENCE,
        **parameters: Any,  # noqa: ANN401
    ) -> Json:
        """Give a command, and return its result."""
        if self._socket is None or not self.alive:
            raise BidiError(f"{method}: the browser is gone")
        number = next(self._numbers)
        answer: asyncio.Future[Json] = self._loop.create_future()
        self._waiting[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        try:
            await self._socket.send_str(json.dumps(message))
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            raise BidiError(f"{method}: no answer for {timeout:.0f} s") from None
        except ConnectionError as error:
            raise BidiError(f"{method}: {error}") from None
        finally:
            del self._waiting[number]

    def close(self) -> None:
        """Hang up, and end the thread; idempotent."""
        if self._loop.is_closed():
            return
        self.submit(self._close()).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self) -> None:
        try:
            if self._namespace:
                enter(self._namespace)
        except OSError as error:
            self._ready.set_exception(error)
            return
        self._loop.call_soon(self._ready.set_result, None)
        self._loop.run_forever()

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession()
        return self._http

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type == aiohttp.WSMsgType.TEXT:
                    self._handle(json.loads(message.data))
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(BidiError("the browser is gone"))

    def _handle(self, message: Json) -> None:
        if message["type"] == "event":
            for listener in tuple(self._listeners):
                listener(message["method"], message["params"])
            return
        answer = self._waiting.get(message.get("id") or 0)
        if answer is None or answer.done():
            return  # its future was cancelled
        if message["type"] == "success":
            answer.set_result(message["result"])
        else:
            answer.set_exception(BidiError(f"{message['error']}: {message['message']}"))

    async def _close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            await asyncio.wait({self._reading})
        if self._http is not None:
            await self._http.close()
