"""The private names of aiortc, aioice and pyOpenSSL that are used: one test for each.

A failure means: the new version of the library moved or changed that name. Look into the
file that the message names.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import inspect
import textwrap
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import aioice
import pytest
from aioice.ice import StunProtocol
from aioice.stun import Message, Transaction
from aioice.turn import TurnClientMixin, TurnTransport
from aiortc import (
    RTCCertificate,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import State as DtlsState
from OpenSSL import SSL, _util

import dcsend
from dcsend.dtls import transport
from dcsend.dtls.certificate import Certificate
from dcsend.ice import agent, connection, relay

ROOT: Final = Path(dcsend.__file__).parents[1]
PRIVATE: Final = "dcsend/ice/agent.py"
ICE: Final = "dcsend/ice/connection.py"
REQUESTS: Final = "dcsend/ice/transactions.py"
DTLS: Final = "dcsend/dtls/transport.py"
RELAY: Final = "dcsend/ice/relay.py"
MODULES: Final = {
    PRIVATE: agent,
    ICE: connection,
    DTLS: transport,
    RELAY: relay,
}

Parameters = list[str]


class Library:
    """One of each object, made as dcsend makes them."""

    def __init__(self) -> None:
        certificate = Certificate.generate()
        self.connection = aioice.Connection(ice_controlling=False)
        self.gatherer = RTCIceGatherer(iceServers=[])
        self.ice = RTCIceTransport(self.gatherer)
        self.dtls = RTCDtlsTransport(
            self.ice, [RTCCertificate(key=certificate.key, cert=certificate.x509)]
        )
        self.protocol = StunProtocol(self.connection)
        self.ssl = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))


@pytest.fixture
async def library() -> Library:
    return Library()


# name, where it is used, how to reach it, its type
ATTRIBUTES: Final[list[tuple[str, str, Callable[[Library], Any], type]]] = [
    (
        "Connection._local_candidates_start",
        ICE,
        lambda x: x.connection._local_candidates_start,
        bool,
    ),
    (
        "Connection._local_candidates_end",
        ICE,
        lambda x: x.connection._local_candidates_end,
        bool,
    ),
    ("Connection._nominated", PRIVATE, lambda x: x.connection._nominated, dict),
    ("Connection._local_candidates", ICE, lambda x: x.connection._local_candidates, list),
    ("Connection._nominated", ICE, lambda x: x.connection._nominated, dict),
    ("Connection._check_list", ICE, lambda x: x.connection._check_list, list),
    ("Connection._closing", ICE, lambda x: x.connection._closing, bool),
    ("Connection._check_list_done", ICE, lambda x: x.connection._check_list_done, bool),
    ("Connection._check_list_state", ICE, lambda x: x.connection._check_list_state, asyncio.Queue),
    ("Connection._early_checks", ICE, lambda x: x.connection._early_checks, deque),
    ("Connection._early_checks_done", ICE, lambda x: x.connection._early_checks_done, bool),
    ("Connection._remote_candidates", ICE, lambda x: x.connection._remote_candidates, list),
    ("Connection._protocols", ICE, lambda x: x.connection._protocols, list),
    ("Connection._query_consent_task", ICE, lambda x: x.connection._query_consent_task, type(None)),
    ("Connection._queue", ICE, lambda x: x.connection._queue, asyncio.Queue),
    ("RTCIceGatherer._connection", PRIVATE, lambda x: x.gatherer._connection, aioice.Connection),
    ("StunProtocol.transactions", PRIVATE, lambda x: x.protocol.transactions, dict),
    ("StunProtocol.receiver", PRIVATE, lambda x: x.protocol.receiver, aioice.Connection),
    ("RTCDtlsTransport._ssl", DTLS, lambda x: x.dtls._ssl, type(None)),
    ("RTCDtlsTransport._state", DTLS, lambda x: x.dtls._state, DtlsState),
    ("OpenSSL.SSL.Connection._ssl", DTLS, lambda x: x.ssl._ssl, _util.ffi.CData),
    ("OpenSSL.SSL.Connection._from_ssl", DTLS, lambda x: x.ssl._from_ssl, _util.ffi.CData),
    ("OpenSSL._util.ffi", DTLS, lambda x: _util.ffi.new("char[]", 1), _util.ffi.CData),
    *(
        (f"OpenSSL._util.lib.{name}", DTLS, lambda x, name=name: getattr(_util.lib, name), kind)
        for name, kind in (
            ("BIO_read", type(_util.lib.SSL_read)),
            ("SSL_read", type(_util.lib.SSL_read)),
            ("SSL_write", type(_util.lib.SSL_read)),
            ("SSL_get_error", type(_util.lib.SSL_read)),
            ("ERR_clear_error", type(_util.lib.SSL_read)),
            ("SSL_ERROR_ZERO_RETURN", int),
        )
    ),
]

# name, where it is used, the method, its parameters, whether it is awaited
METHODS: Final[list[tuple[str, str, Callable[..., Any], Parameters, bool]]] = [
    (
        "Connection.request_received",
        PRIVATE,
        aioice.Connection.request_received,
        ["message", "addr", "protocol"],
        False,
    ),
    (
        "Connection.data_received",
        ICE,
        aioice.Connection.data_received,
        ["data", "component"],
        False,
    ),
    # They have no underscore, and are no documented ones either.
    *(
        (f"Connection.{name}", ICE, getattr(aioice.Connection, name), parameters, awaited)
        for name, parameters, awaited in (
            ("build_request", ["pair", "nominate"], False),
            ("_pair_remote_candidate", ["remote_candidate"], False),
            ("add_remote_candidate", ["remote_candidate"], True),
            ("check_complete", ["pair"], False),
            ("check_incoming", ["message", "addr", "protocol"], False),
            ("check_start_task", ["pair"], False),
            ("check_state", ["pair", "state"], False),
            ("close", [], True),
            ("connect", [], True),
            ("query_consent", [], True),
            ("sort_check_list", [], False),
        )
    ),
    ("TurnClientMixin.delete", RELAY, TurnClientMixin.delete, [], True),
    ("StunProtocol.send_stun", REQUESTS, StunProtocol.send_stun, ["message", "addr"], False),
    (
        "Transaction.response_received",
        REQUESTS,
        Transaction.response_received,
        ["message", "addr"],
        False,
    ),
    ("RTCDtlsTransport._set_role", DTLS, RTCDtlsTransport._set_role, ["role"], False),
    ("RTCDtlsTransport._write_ssl", DTLS, RTCDtlsTransport._write_ssl, [], True),
    (
        "RTCDtlsTransport._register_data_receiver",
        DTLS,
        RTCDtlsTransport._register_data_receiver,
        ["receiver"],
        False,
    ),
    # What such a receiver must have; it is not a base class of dcsend.
    ("DataReceiver._handle_data", DTLS, RTCSctpTransport._handle_data, ["data"], True),
    ("TurnTransport._connect", RELAY, TurnTransport._connect, ["protocol"], True),
    ("StunProtocol.connection_lost", PRIVATE, StunProtocol.connection_lost, ["exc"], False),
    (
        "Message.check_message_integrity",
        PRIVATE,
        Message.check_message_integrity,
        ["key"],
        False,
    ),
]


@pytest.mark.parametrize(
    ("name", "file", "get", "kind"), ATTRIBUTES, ids=[row[0] for row in ATTRIBUTES]
)
async def test_attribute_exists(
    library: Library, name: str, file: str, get: Callable[[Library], Any], kind: type
) -> None:
    try:
        value = get(library)
    except AttributeError as exc:
        pytest.fail(f"{name} is gone ({exc}): see {file}", pytrace=False)
    assert isinstance(value, kind), f"{name} is a {type(value).__name__} now: see {file}"


@pytest.mark.parametrize(
    ("name", "file", "method", "parameters", "awaited"), METHODS, ids=[row[0] for row in METHODS]
)
def test_method_takes_what_it_is_given(
    name: str, file: str, method: Callable[..., Any], parameters: Parameters, awaited: bool
) -> None:
    given = list(inspect.signature(method).parameters)[1:]
    assert given == parameters, f"{name} takes {given} now: see {file}"
    assert inspect.iscoroutinefunction(method) is awaited, f"{name}: see {file}"


async def test_ice_transport_copies_the_methods_of_the_connection_when_it_is_built() -> None:
    gatherer = RTCIceGatherer(iceServers=[])
    gatherer._connection = aioice.Connection(ice_controlling=False)
    ice = RTCIceTransport(gatherer)
    assert ice._recv.__self__ is gatherer._connection, f"ice_transport() in {PRIVATE}"  # type: ignore[attr-defined]


def test_ice_reads_what_gathering_would_have_set() -> None:
    source = inspect.getsource(aioice.Connection.connect)
    assert "_local_candidates_end" in source, f"add_protocol() in {ICE}"
    source = inspect.getsource(aioice.Connection.gather_candidates)
    assert "_local_candidates_start" in source, f"add_protocol() in {ICE}"


class Names(ast.NodeVisitor):
    """The private names that a file uses, and those that it makes itself."""

    def __init__(self, path: Path) -> None:
        self.used: set[str] = set()
        self.own: set[str] = set()
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: D102
        if node.attr.startswith("_") and not node.attr.startswith("__"):
            is_self = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            makes = is_self and isinstance(node.ctx, ast.Store)
            (self.own if makes else self.used).add(node.attr)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:  # noqa: D102
        self.own.add(node.name)
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:  # noqa: D102
        self.visit_FunctionDef(node)


def overridden(file: str) -> set[str]:
    """Return the private methods of libraries that the classes of a file replace."""
    classes = [
        value
        for value in vars(MODULES[file]).values()
        if inspect.isclass(value) and value.__module__ == MODULES[file].__name__
    ]
    return {
        name
        for made in classes
        for name in vars(made)
        if name.startswith("_") and not name.startswith("__")
        if any(hasattr(base, name) for base in made.__mro__[1:])
    }


def inherited(file: str) -> set[str]:
    """Return the private attributes that the libraries' bases of a file's classes set."""
    bases = {
        base
        for value in vars(MODULES[file]).values()
        if inspect.isclass(value) and value.__module__ == MODULES[file].__name__
        for base in value.__mro__[1:]
        if base.__module__.startswith(("aiortc", "aioice", "OpenSSL"))
    }
    sources = (ast.parse(textwrap.dedent(inspect.getsource(base))) for base in bases)
    return {
        node.attr
        for source in sources
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if isinstance(node.value, ast.Name) and node.value.id == "self"
        if node.attr.startswith("_")
    }


@pytest.mark.parametrize("file", MODULES)
def test_each_private_name_that_a_file_uses_is_in_the_tables(file: str) -> None:
    names = Names(ROOT / file)
    # What a class of the file sets is a library's all the same if a base of that library sets it.
    own = names.own - overridden(file) - inherited(file)
    used = (names.used | inherited(file) & names.own) - own | overridden(file)
    assert used == listed(file) - {"_util"} - own


PUBLIC: Final = {"_exit", "_fields", "_getframe", "_replace"}
"Documented names of `os`, `sys` and named tuples."


def of_other_classes(node: ast.AST, own: frozenset[str] = frozenset()) -> Iterator[ast.Attribute]:
    """Yield the private attributes of objects other than instances of the class around them.

    Args:
        node: a module, or a node in it.
        own: private attributes and methods of the class around *node*.
    """
    if isinstance(node, ast.ClassDef):
        own = frozenset(private_names(node))
    elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
        value = node.value
        is_super = isinstance(value, ast.Call) and ast.unparse(value) == "super()"
        if not is_super and not (isinstance(value, ast.Name) and value.id in ("self", "cls")):
            yield node
    for child in ast.iter_child_nodes(node):
        yield from of_other_classes(child, own)


def private_names(made: ast.ClassDef) -> Iterator[str]:
    """Yield the private attributes that a class assigns to itself, and its private methods."""
    for node in ast.walk(made):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def listed(file: str) -> set[str]:
    """Return the private names of libraries that the tables have for a file."""
    rows = [(row[0], row[1]) for row in ATTRIBUTES] + [(row[0], row[1]) for row in METHODS]
    parts = (part for name, where in rows if where == file for part in name.split("."))
    return {part for part in parts if is_private(part)}


def test_no_class_or_module_uses_private_names_of_another_one() -> None:
    found = []
    for path in (ROOT / "dcsend").rglob("*.py"):
        file = path.relative_to(ROOT).as_posix()
        allowed = PUBLIC | listed(file)
        found += [
            f"{file}:{node.lineno}: {ast.unparse(node)}"
            for node in of_other_classes(ast.parse(path.read_text(encoding="utf-8")))
            if node.attr not in allowed
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x._y", ["_y"]),
        ("class A:\n  def f(self):\n    return self._y", []),
        ("class A:\n  def __eq__(self, x):\n    self._y = 1\n    return x._y", []),
        ("class A:\n  def f(self):\n    return self.x._y", ["_y"]),
        ("class A:\n  def _f(self): super()._f()", []),
        ("class A:\n  _y: int\nclass B:\n  def f(self, a): return a._y", ["_y"]),
    ],
)
def test_private_name_of_another_class_is_found(source: str, found: list[str]) -> None:
    assert [node.attr for node in of_other_classes(ast.parse(source))] == found


def test_installed_versions_are_the_ones_these_names_are_of() -> None:
    assert importlib.metadata.version("aiortc").startswith("1.16.")
    assert importlib.metadata.version("aioice").startswith("0.13.")
    assert importlib.metadata.version("pyopenssl").split(".")[0] in ("25", "26")
