"""One thread for blocking work, in order, never in the way of the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from dcsend.session.worker import Worker


async def test_work_is_done_in_order_on_another_thread() -> None:
    worker = Worker("test")
    threads = await asyncio.gather(*(worker.run(threading.get_ident) for _ in range(3)))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    worker.close()


async def test_an_error_reaches_the_caller() -> None:
    worker = Worker("test")
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: 7) == 7
    worker.close()


async def test_a_cancelled_call_does_not_disturb_the_next() -> None:
    worker = Worker("test")
    loop = asyncio.get_running_loop()
    started, go = asyncio.Event(), threading.Event()

    def block() -> None:
        loop.call_soon_threadsafe(started.set)
        go.wait()

    problems: list[object] = []
    loop.set_exception_handler(lambda _, problem: problems.append(problem))
    task = asyncio.create_task(worker.run(block))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await worker.run(lambda: "next") == "next"
    assert problems == []
    worker.close()


@pytest.mark.full
def test_a_stuck_read_does_not_keep_the_program_from_ending() -> None:
    script = (
        "import asyncio, threading\n"
        "from dcsend.session.worker import Worker\n"
        "async def main():\n"
        "    task = asyncio.create_task(Worker('w').run(threading.Event().wait))\n"
        "    await asyncio.sleep(0)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=150, check=False).returncode == 0
