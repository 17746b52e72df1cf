"""The rules of test_architecture.py on examples: each is able to fail, and allows what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.test_architecture import (
    MAX_LINES,
    Module,
    assigns_from_outside,
    imports_against_the_arrows,
    imports_asyncio,
    imports_from_outside,
    is_too_long,
    lacks_docstrings,
    loads_its_own_modules,
    prints,
)

BROKEN: Final = [
    *(
        (imports_against_the_arrows, name, source)
        for name, source in (
            ("protocol.sender", "import dcsend.files.source"),
            ("protocol.sender", "from dcsend.peers import contract"),
            ("protocol.sender", "from ..files import source"),
            ("protocol.sender", "from .. import session"),
            ("files.sink", "def late():\n    from dcsend.protocol.limits import WINDOW"),
            ("files.sink", "from dcsend import cli"),
            ("net.udp", "from typing import TYPE_CHECKING\nif 1:\n    import dcsend.signaling"),
            ("net.udp", "from dcsend.settings import Settings"),
            ("sctp.association", "from dcsend.net import udp"),
            ("sctp.flight", "from dcsend.errors import ConnectionFailed"),
            ("signaling.dialcode", "import importlib\nimportlib.import_module('dcsend.display')"),
            ("errors", "from dcsend.settings import Settings"),
            ("settings", "import dcsend.session"),
            ("session.sending", "from dcsend.display import Display"),
            ("session.sending", "import dcsend.cli"),
            ("display.bars", "from dcsend.session.sending import send_files"),
            ("display.bars", "from dcsend.session import sending"),
            ("display.bars", "from dcsend.protocol import limits"),
            ("display.offer", "from dcsend.files.planning import plan"),
            ("display.qr", "from dcsend.settings import Settings"),
            ("", "import dcsend.cli"),
            ("api", "from dcsend.display import Display"),
            ("serving.server", "from dcsend.session.events import Emit"),
            ("serving.page", "from dcsend.settings import Settings"),
            ("serving.port", "from dcsend.net import udp"),
            ("peers.listener", "from dcsend.serving.port import listen"),
            ("rendezvous.client", "from dcsend.peers.contract import MAX_QUEUED"),
            ("rendezvous.client", "from dcsend.serving.server import PageServer"),
            ("session.meeting", "from dcsend.chat.connecting import connect"),
            ("display.jsonlines", "from dcsend.chat.events import StateChanged"),
            ("peers.loading", "from dcsend.chat.connection import ChatConnection"),
            ("stage", "from dcsend.chat.run import run"),
            ("chat.run", "from dcsend.runner import run_send"),
            ("chat.session", "from dcsend.protocol import frames"),
            ("", "from dcsend.chat.session import chat"),
            ("surprise", "x = 1"),
        )
    ),
    (imports_from_outside, "session", "import typer"),
    (imports_from_outside, "cli", "from tqdm.auto import tqdm"),
    (imports_from_outside, "session", "def late():\n    import aiortc.sdp"),
    (imports_from_outside, "session", "from aiohttp import web"),
    (imports_from_outside, "protocol.frames", "import cryptography"),
    (imports_from_outside, "files.source", "from ifaddr import get_adapters"),
    (imports_asyncio, "protocol.sender", "from asyncio import Queue"),
    (imports_asyncio, "sctp.timing", "from asyncio import TimerHandle"),
    (imports_asyncio, "files.sink", "import asyncio.subprocess"),
    (prints, "session", "print('hello')"),
    (prints, "cli", "import sys\nsys.stderr.write('hello')"),
    (prints, "cli", "import sys\nstream = sys.stdout"),
    (prints, "session", "import sys\nshow(sys.stdout)"),
    (prints, "runner", "import sys\nprint('hello', file=sys.stderr)"),
    (prints, "runner", "import sys\nsys.stdout.write('hello')"),
    (prints, "net.udp", "from sys import stderr"),
    (lacks_docstrings, "errors", "x = 1"),
    (lacks_docstrings, "errors", "'doc'\nclass A: pass"),
    (lacks_docstrings, "errors", "'doc'\nclass A:\n  'doc'\n  def f(self): pass"),
    (lacks_docstrings, "errors", "'doc'\nasync def f(): pass"),
    (loads_its_own_modules, "protocol", "from dcsend.protocol.sender import Sender"),
    (loads_its_own_modules, "sctp", "from dcsend.sctp.bbr import Bbr"),
    (assigns_from_outside, "session.story", "def f(half):\n  half.conversation = 1"),
    (assigns_from_outside, "session.story", "class A:\n  def f(self):\n    self.tally.bytes += 1"),
    (assigns_from_outside, "display.bars", "def f(a, b):\n  a.x, b = 1, 2"),
    (assigns_from_outside, "protocol.sender", "def f(a):\n  del a[0].x"),
    (assigns_from_outside, "chat.session", "def f(peer):\n  peer.x = 1"),
    (assigns_from_outside, "files.committing", "def f(folder):\n  folder.users += 1"),
    (assigns_from_outside, "cli", "def f(a):\n  a.x: int = 1"),
    (assigns_from_outside, "sctp.flight", "def f(pacer):\n  pacer.credit -= 1"),
    (
        assigns_from_outside,
        "sctp.transmission",
        "class A:\n  __slots__ = ('x',)\ndef f(a):\n  a.x = 1",
    ),
    (is_too_long, "errors", "\n" * (MAX_LINES + 1)),
]
"Each breaks the rule that it names."

FINE: Final = [
    (imports_against_the_arrows, "protocol.sender", "from dcsend.protocol import limits"),
    (imports_against_the_arrows, "protocol.sender", "from . import limits\nimport dcsend.entry"),
    (imports_against_the_arrows, "session.sending", "from dcsend.files.source import FileSource"),
    (imports_against_the_arrows, "display.bars", "import dcsend.session.events"),
    (imports_against_the_arrows, "runner", "from dcsend.chat.run import run"),
    (imports_against_the_arrows, "cli", "from dcsend._version import __version__"),
    (imports_from_outside, "ice.agent", "import aiortc\nfrom aioice import Connection"),
    (imports_asyncio, "net.udp", "import asyncio"),
    (prints, "display.bars", "print('hello')"),
    (prints, "cli", "import sys\nsys.stdout.buffer\nsys.stderr.isatty()"),
    (prints, "runner", "import sys\nDisplay(sys.stdout, errors=sys.stderr)"),
    (lacks_docstrings, "errors", "'doc'\ndef _private(): pass"),
    (lacks_docstrings, "errors", "'doc'\nclass _P:\n  'doc'\n  def f(self): pass"),
    (loads_its_own_modules, "protocol", "from dcsend.errors import DcsendError"),
    (loads_its_own_modules, "sctp", "if TYPE_CHECKING:\n    from dcsend.sctp.bbr import Bbr"),
    (loads_its_own_modules, "protocol.sender", "from dcsend.protocol.side import Side"),
    (assigns_from_outside, "session.story", "class A:\n  def f(self):\n    self.bytes += 1"),
    (assigns_from_outside, "display.streams", "_run = Run()\ndef f():\n  _run.ends = True"),
    (assigns_from_outside, "sctp.flight", "class A:\n  __slots__ = ('x',)\ndef f(a):\n  a.x = 1"),
    (assigns_from_outside, "sctp.rate", "class A(Protocol):\n  x: int\ndef f(a):\n  a.x = 1"),
    (is_too_long, "errors", "\n" * MAX_LINES),
]


@pytest.mark.parametrize(("rule", "name", "source"), BROKEN)
def test_rule_is_able_to_fail(
    rule: Callable[[Module], Iterator[str]], name: str, source: str
) -> None:
    assert list(rule(Module(name, source, package=not name)))


@pytest.mark.parametrize(("rule", "name", "source"), FINE)
def test_rule_allows_what_is_right(
    rule: Callable[[Module], Iterator[str]], name: str, source: str
) -> None:
    assert list(rule(Module(name, source, package=not name))) == []
