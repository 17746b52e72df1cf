"""Typed lines of a chat: `/quit` passes the lines before it, and ends the input."""

from __future__ import annotations

import asyncio

import pytest

from dcsend.chat.chat_input import ChatInput, until_quit


@pytest.mark.parametrize("last", ["/quit", " /quit ", None])
async def test_quit_or_the_end_of_input_ends_it_after_the_lines_before(last: str | None) -> None:
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    for line in ("one", "/quit now", "//quit", last, "late"):
        lines.put_nowait(line)
    typed = ChatInput(lines)
    await asyncio.wait_for(typed.sort(), 5)
    assert typed.quit.is_set()
    assert [typed.to_send.get_nowait() for _ in range(3)] == ["one", "/quit now", "//quit"]
    assert typed.to_send.empty()


@pytest.mark.parametrize("connected", [False, True])
async def test_quit_waits_for_the_end_of_a_connected_chat_only(connected: bool) -> None:
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    typed = ChatInput(lines)
    ended = False

    async def chat() -> None:
        nonlocal ended
        if connected:
            typed.session_begins()
            await typed.quit.wait()
        else:
            await asyncio.Event().wait()
        for _ in range(20):  # turns of the loop
            await asyncio.sleep(0)
        ended = True

    lines.put_nowait("/quit")
    await asyncio.wait_for(until_quit(chat(), typed), 5)
    assert ended is connected
