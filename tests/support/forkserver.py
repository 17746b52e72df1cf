"""Starts dcsend as a copy of a process that has loaded it, which saves most of the processor time.

A new interpreter takes 0.1 to 0.4 s of processor time until all modules are loaded, and a small
transfer less than 0.1 s. So one process for each test process, the fork server, loads dcsend once.
For each program it makes a copy of itself: a process of its own, with the arguments, folder,
variables and pipes of the test. The copy executes `python -m dcsend` from its first line, and ends
like every interpreter.

What depends on the start of an interpreter, on the moment at which modules are loaded, or on the
memory of the process needs a new interpreter (`cold=True` of `Program`). With DCSEND_TESTS_COLD=1
every program has one.

    python -c 'from tests.support.forkserver import serve; serve(FD)'     # started by `fork`
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Final, TextIO

__all__ = ["Forked", "fork", "run", "usable"]

_ROOT: Final = str(Path(__file__).resolve().parents[2])
_COLD: Final = os.environ.get("DCSEND_TESTS_COLD", "") == "1"
"Read before the tests remove DCSEND_…"
_EARLY: Final = ("PYTHON", "LANG", "LC_", "LD_")
"Beginnings of the names of variables that have an effect before the first line of a program."
_SETTINGS: Final = Path("/etc/netns")
"Files of /etc for network namespaces, as `ip netns exec` puts them in their places."
_MOST: Final = 1 << 20
"Bytes of a request."


class Forked:
    """A program that the fork server has started; the same interface as `subprocess.Popen`.

    Args:
        pid: its process id.
        watched: a descriptor that becomes readable at its end (`pidfd_open`).
        result: the read end of a pipe to which the fork server writes its exit status.
        args: its command.
        pipes: its standard input, output and error; None for what is not a pipe.
    """

    def __init__(
        self, pid: int, watched: int, result: int, args: list[str], pipes: list[IO[Any] | None]
    ) -> None:
        self.pid = pid
        self.args = args
        self.stdin, self.stdout, self.stderr = pipes
        self.returncode: int | None = None
        self._watched = watched
        self._result = result
        self._reaping = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        with self._reaping:
            if self.returncode is None and select.select([self._result], [], [], 0)[0]:
                status = os.read(self._result, 16)
                assert status, "the fork server has ended"
                self.returncode = int(status)
                os.close(self._result)
                os.close(self._watched)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status.

        Raises:
            subprocess.TimeoutExpired: it still runs after *timeout* seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with contextlib.suppress(ValueError, OSError):  # closed by a poll in another thread
                select.select([self._result], [], [], left)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._watched, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _Server:
    """The fork server of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.variables = {**os.environ, "PYTHONPATH": _ROOT}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND.format(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=_ROOT,
                env=self.variables,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C is not for the fork server
            )
        atexit.register(self.end)

    def end(self) -> None:
        self.channel.close()
        self._process.wait()


# dcsend registers what was loaded before it, see dcsend/importing.py.
_COMMAND: Final = "import dcsend.importing\nfrom tests.support.forkserver import serve\nserve({})"
_server: _Server | None = None
_starting = threading.Lock()


def _running() -> _Server:
    global _server
    with _starting:
        if _server is None:
            _server = _Server()
        return _server


def usable(variables: Mapping[str, str], namespace: str = "") -> bool:
    """Return whether the fork server can start a program with these variables, there.

    Args:
        variables: of the program.
        namespace: a network namespace made by iproute2; empty: that of this process.
    """
    if _COLD or sys.platform != "linux":
        return False
    ours = _running().variables

    def early(given: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in given.items()
            if name.startswith(_EARLY) and (name, value) != ("PYTHONPATH", _ROOT)
        }

    return early(variables) == early(ours)


def fork(
    arguments: Sequence[str],
    *,
    stdin: int | IO[Any],
    stdout: int,
    stderr: int,
    env: Mapping[str, str],
    cwd: Path | None = None,
    start_new_session: bool = False,
    text: bool = False,
    namespace: str = "",
) -> Forked:
    """Start dcsend with *arguments*; the rest as for `subprocess.Popen`.

    Args:
        arguments: of dcsend.
        stdin: as for `Popen`; so are the following four.
        stdout: a descriptor, or PIPE.
        stderr: a descriptor, or PIPE.
        env: its variables.
        cwd: its folder.
        start_new_session: a terminal that is its standard input becomes its controlling one, too.
        text: the pipes are for text in UTF-8, and not unbuffered.
        namespace: a network namespace made by iproute2; empty: that of this process.
    """
    request = {
        "arguments": list(arguments),
        "cwd": os.path.join(os.getcwd(), cwd or ""),
        "env": dict(env),
        "session": start_new_session,
        "namespace": namespace,
    }
    pipes: list[IO[Any] | None] = []
    theirs: list[int] = []
    with contextlib.ExitStack() as cleanup:
        for number, given in enumerate((stdin, stdout, stderr)):
            pipe, fd = _end(number, given, text, cleanup)
            pipes.append(pipe)
            theirs.append(fd)
        server = _running()
        with server.lock:
            socket.send_fds(server.channel, [json.dumps(request).encode()], theirs)
            answer, fds, _, _ = socket.recv_fds(server.channel, 64, 2)
    assert answer, "the fork server has ended"
    watched, result = fds
    return Forked(int(answer), watched, result, ["dcsend", *arguments], pipes)


def run(
    arguments: Sequence[str], *, stdin: int | IO[Any], env: Mapping[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run dcsend to its end; return its status, standard output and standard error."""
    pipe = subprocess.PIPE
    program = fork(arguments, stdin=stdin, stdout=pipe, stderr=pipe, env=env, text=True)
    assert program.stdout is not None
    assert program.stderr is not None
    if program.stdin is not None:
        program.stdin.close()
    try:
        with program.stdout, program.stderr, ThreadPoolExecutor(2) as readers:
            out, err = (readers.submit(file.read) for file in (program.stdout, program.stderr))
            return program.wait(timeout), out.result(timeout), err.result(timeout)
    finally:
        program.kill()


def _end(
    number: int, given: int | IO[Any], text: bool, cleanup: contextlib.ExitStack
) -> tuple[IO[Any] | None, int]:
    """Return our end of a pipe, if there is one, and what is descriptor *number* of the program."""
    if given == subprocess.DEVNULL:
        fd = os.open(os.devnull, os.O_RDWR)
        cleanup.callback(os.close, fd)
        return None, fd
    if given != subprocess.PIPE:
        return None, given if isinstance(given, int) else given.fileno()
    read, write = os.pipe()
    ours, fd, mode = (read, write, "r") if number else (write, read, "w")
    cleanup.callback(os.close, fd)
    if text:
        return open(ours, mode, encoding="utf-8", errors="backslashreplace"), fd
    return open(ours, f"{mode}b", buffering=0), fd


def serve(number: int) -> None:
    """Start programs as requested over socket *number*, until its other end is closed.

    In each copy it returns after the end of the program.
    """
    import dcsend

    for module in pkgutil.walk_packages(dcsend.__path__, "dcsend."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert threading.active_count() == 1, "a copy would lack the other threads"
    gc.collect()
    gc.freeze()  # so that a collection does not copy the memory of what is shared
    request, fds = _await_request(socket.socket(fileno=number))
    _become(request, fds)
    runpy.run_module("dcsend", run_name="__main__", alter_sys=True)


def _await_request(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Serve requests; return in the copy for one of them."""
    programs: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([channel.fileno(), *programs], [], [])[0]:
            if ready in programs:
                pid, result = programs.pop(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                os.write(result, str(status).encode())
                os.close(result)
                os.close(ready)
                continue
            data, fds, _, _ = socket.recv_fds(channel, _MOST, 3)
            if not data:
                os._exit(0)
            if not (pid := os.fork()):
                return json.loads(data), fds
            for fd in fds:
                os.close(fd)
            watched = os.pidfd_open(pid)
            theirs, result = os.pipe()
            programs[watched] = pid, result
            socket.send_fds(channel, [str(pid).encode()], [watched, theirs])
            os.close(theirs)


def _become(request: dict[str, Any], fds: list[int]) -> None:
    """Make this copy what `python -m dcsend` would be with these arguments and descriptors."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if request["session"]:
        import fcntl
        import termios

        os.setsid()
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if request["namespace"]:
        _enter(request["namespace"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv[1:] = request["arguments"]
    sys.path[0] = os.getcwd()
    if "PYTHONPATH" not in os.environ:
        sys.path.remove(_ROOT)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _standard_stream(number, getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _enter(namespace: str) -> None:
    """Move this process into a network namespace made by iproute2, as `ip netns exec` does.

    With files of /etc of its own, it has a mount namespace of its own, in which these are in their
    places.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def check(status: int, what: str) -> None:
        if status != 0:
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {namespace}: {what}")

    clone_newnet, clone_newns, ms_bind, ms_slave_all = 0x40000000, 0x20000, 0x1000, 0x84000
    with open(f"/run/netns/{namespace}", "rb") as file:
        check(libc.setns(file.fileno(), clone_newnet), "setns")
    settings = _SETTINGS / namespace
    if not settings.exists():
        return
    check(libc.unshare(clone_newns), "unshare")
    check(libc.mount(b"", b"/", b"none", ctypes.c_ulong(ms_slave_all), None), "mount /")
    for given in settings.iterdir():
        place = Path("/etc") / given.name
        paths = (os.fsencode(given), os.fsencode(place))
        check(libc.mount(*paths, b"none", ctypes.c_ulong(ms_bind), None), f"mount {place}")


def _standard_stream(number: int, before: TextIO) -> TextIO:
    """Open a standard stream like the interpreter at its start."""
    assert isinstance(before, io.TextIOWrapper)
    return io.TextIOWrapper(
        open(number, "wb" if number else "rb", closefd=False),
        encoding=before.encoding,
        errors=before.errors,
        newline="\n",
        line_buffering=number == 2 or os.isatty(number),
    )
