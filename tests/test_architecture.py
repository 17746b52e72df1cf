"""The shape of the package, read from its syntax trees: permitted imports, modules that print.

Three tables list what is allowed; ARCHITECTURE.md has the reasons. test_architecture_rules.py shows
that each rule can fail.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent

LEAVES: Final = frozenset(
    {
        *("errors", "entry", "content", "listing", "description"),
        *("importing", "printable", "starting", "threads", "_version"),
    }
)
LAYERS: Final = frozenset({"signaling", "net", "ice", "dtls", "peers", "protocol", "files"})

MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(LEAVES, LEAVES),
    **dict.fromkeys(LAYERS, LEAVES),
    # A protocol of its own, of use to others, too: it imports nothing of dcsend.
    "sctp": frozenset(),
    "net": LEAVES,
    "ice": LEAVES | {"net"},
    "dtls": LEAVES | {"ice", "net"},
    "peers": LEAVES | {"dtls", "ice", "net", "sctp"},
    # Before two sides are connected: it has no peer and no transfer.
    "rendezvous": LEAVES | {"net", "signaling"},
    # Beside the layers: it has no code and no part in a transfer.
    "serving": LEAVES,
    "settings": LEAVES,
    "session": LEAVES | LAYERS | {"settings", "serving", "rendezvous"},
    "display": LEAVES | {"files.names", "session.events"},
    # The library stands beside the command line: both run the session.
    "api": LEAVES | {"settings", "session", "chat"},
    "": LEAVES
    | {
        *("settings", "session.events", "session.limiting", "session.published", "api"),
        *("chat.events", "chat.settings"),
    },
    "ending": LEAVES | {"session", "display"},
    "stage": LEAVES | {"settings", "session", "display", "ending"},
    # The demo. No part of a transfer imports it.
    "chat": LEAVES
    | {
        *("settings", "session", "display", "stage", "signaling.blob", "files.planning"),
        *("peers.channel", "peers.contract", "peers.peer", "dtls.certificate"),
        *("ice.connection", "sctp.channels", "sctp.reassembly"),
    },
    "runner": LEAVES | {"settings", "session", "display", "signaling", "stage", "chat"},
    "cli": LEAVES
    | {
        *("settings", "signaling", "session", "display", "serving", "runner", "chat"),
        *("stage", "ending", "rendezvous.servers", "files.leftovers"),
    },
    "__main__": frozenset({"cli", "importing"}),
}
"""Part of dcsend -> what it may import of dcsend besides itself, with all that lies below.
"" is the package itself, `dcsend/__init__.py`."""

ONLY_IN: Final = {
    "typer": {"cli"},
    "tqdm": {"display"},
    "qrcode": {"display"},
    "aiortc": {"ice", "dtls", "peers"},
    "aioice": {"ice", "peers"},
    "zeroconf": {"net", "rendezvous"},
    "aiohttp": {"rendezvous", "serving"},
    "google_crc32c": {"sctp"},
}
"Distribution -> the parts of dcsend that may import it."

NEEDS_NOTHING: Final = LEAVES | {"signaling", "protocol", "files"}
"Parts that import the standard library and nothing else from outside."

WITHOUT_ASYNCIO: Final = LEAVES | {"protocol", "files", "sctp"}

RECORDS: Final = frozenset({"sctp.flight", "sctp.queue", "sctp.rate", "sctp.reassembly"})
"""Modules that run for each chunk of each packet, where calls of methods would take time. They may
assign the attributes that a record of the module declares, a class with `__slots__` or a protocol.
"""

SETTINGS: Final = frozenset(
    {
        *("on_open", "on_message", "on_close", "on_room", "max_message_size"),  # of dcsend.sctp
        *("ice_controlling", "local_candidate", "nominated"),  # of aioice
        "_connection",  # of aiortc
        "lastResort",  # of logging
    }
)
"Attributes that their classes document, or that these libraries have no method for."

SAME_NAME: Final = frozenset(
    {
        *("Bye", "End", "Network", "Udp"),  # items of `rendezvous`, each a message of that protocol
        "Side",  # one of a transfer, and one of a short code
        *("Sent", "Phase"),  # of dcsend.sctp, which is a library of its own
    }
)
"Names that two classes have. Any other name is of one class, and means one thing."

MAX_LINES: Final = 450

HARMLESS: Final = frozenset({"buffer", "encoding", "fileno", "isatty"})
"What may be asked of sys.stdout and sys.stderr outside the display: it prints nothing."

HANDS_STREAMS_OVER: Final = "runner"
"The part that may pass the two to a call; it names the streams of the display."


@dataclass(frozen=True, slots=True)
class Module:
    """One source file."""

    name: str
    "Dotted, below dcsend: `protocol.sender`; a package has the name of its folder."
    source: str
    package: bool = False

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.source)

    @property
    def part(self) -> str:
        """The layer, or the single file, that the tables name."""
        return self.name.split(".")[0]


def modules() -> Iterator[Module]:
    package = ROOT / "dcsend"
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        yield Module(name, path.read_text(encoding="utf-8"), is_package)


MODULES: Final = tuple(modules())
NAMES: Final = frozenset(f"dcsend.{module.name}".rstrip(".") for module in MODULES)


def imported(module: Module) -> set[str]:
    """Return the full name of every module that *module* imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(names=names):
                base = _absolute(module, node)
                inner = {f"{base}.{alias.name}" for alias in names}
                # `from dcsend.session import events` asks for the module `events` alone.
                found |= inner if inner <= NAMES else {base} | inner & NAMES
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=v)]):
                found.add(str(v))
    return found


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parents = f"dcsend.{module.name}".split(".")
    up = node.level - (1 if module.package else 0)
    return ".".join([*parents[: len(parents) - up], *([node.module] if node.module else [])])


def imports_against_the_arrows(module: Module) -> Iterator[str]:
    allowed = MAY_IMPORT.get(module.part)
    if allowed is None:
        yield f"{module.part} is in no table of this test"
        return
    for name in imported(module):
        first, _, inside = name.partition(".")
        if first != "dcsend" or inside.split(".")[0] == module.part:
            continue
        # "" allows the package itself only, not everything in it.
        if not any(inside == part or (part and inside.startswith(part + ".")) for part in allowed):
            yield f"imports {name}"


def imports_from_outside(module: Module) -> Iterator[str]:
    for name in imported(module):
        outside = name.split(".")[0]
        if outside in ONLY_IN and module.part not in ONLY_IN[outside]:
            yield f"imports {name}, which only {sorted(ONLY_IN[outside])} may"
        if module.part in NEEDS_NOTHING and outside not in {"dcsend", *sys.stdlib_module_names}:
            yield f"imports {name}, which is not in the standard library"


def imports_asyncio(module: Module) -> Iterator[str]:
    if module.part in WITHOUT_ASYNCIO and "asyncio" in {n.split(".")[0] for n in imported(module)}:
        yield "imports asyncio"


def prints(module: Module) -> Iterator[str]:
    if module.part == "display":
        return
    harmless: set[ast.AST] = set()
    for node in ast.walk(module.tree):  # what contains comes before what is contained
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield f"line {node.lineno}: prints"
            case ast.Call(args=args, keywords=keywords) if module.part == HANDS_STREAMS_OVER:
                harmless |= {*args, *(keyword.value for keyword in keywords)}
            case ast.Attribute(value=value, attr=attr) if attr in HARMLESS:
                harmless.add(value)
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" as stream):
                if node not in harmless:
                    yield f"line {node.lineno}: writes to sys.{stream}"
            case ast.ImportFrom(module="sys", names=names):
                yield from (f"imports {n.name}" for n in names if n.name in {"stdout", "stderr"})


def lacks_docstrings(module: Module) -> Iterator[str]:
    if ast.get_docstring(module.tree) is None:
        yield "the module has no docstring"
    yield from _undocumented(module.tree, "")


def _undocumented(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        public = not node.name.startswith("_")
        # Of the private things, classes need one too.
        needed = public or isinstance(node, ast.ClassDef)
        if needed and ast.get_docstring(node) is None:
            yield f"{prefix}{node.name} has no docstring"
        if public and isinstance(node, ast.ClassDef):
            yield from _undocumented(node, f"{prefix}{node.name}.")


def loads_its_own_modules(module: Module) -> Iterator[str]:
    """Find a package whose import needs its modules.

    Two threads that import different modules of it then wait for each other, and Python lets one of
    them go on with a module that is not complete. Imports for type checkers do not run.
    """
    # The name of a layer alone is that of its package.
    if module.name in {*LAYERS, "sctp", "rendezvous", "session", "serving", "display", "chat"}:
        own = f"dcsend.{module.name}."
        found = imported(replace(module, source=_as_run(module)))
        yield from (f"imports {name}" for name in found if name.startswith(own))


def _as_run(module: Module) -> str:
    """Return the source without `if TYPE_CHECKING:` blocks."""
    tree = module.tree
    tree.body = [
        node
        for node in tree.body
        if not isinstance(node, ast.If) or ast.unparse(node.test) != "TYPE_CHECKING"
    ]
    return ast.unparse(tree)


def assigns_from_outside(module: Module) -> Iterator[str]:
    """Find assignments to attributes of other objects: only its own methods change an object.

    An object that the module itself keeps, in a variable of the module, may be changed.
    """
    allowed = SETTINGS | (_declared(module) if module.name in RECORDS else frozenset())
    own = {"self", "cls"} | {
        target.id
        for node in module.tree.body
        for target in _targets(node)
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module.tree):
        for target in _targets(node):
            if isinstance(target, ast.Attribute) and target.attr not in allowed:
                value = target.value
                if not (isinstance(value, ast.Name) and value.id in own):
                    yield f"line {target.lineno}: assigns {ast.unparse(target)}"


def _declared(module: Module) -> frozenset[str]:
    """Return the attributes that the bodies of the classes declare."""
    return frozenset(
        name
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        for name in _declared_by(statement)
    )


def _declared_by(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
            yield from ast.literal_eval(value)
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            for target in targets:
                yield from target.elts if isinstance(target, ast.Tuple) else [target]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield target


def class_names(module: Module) -> Iterator[str]:
    """Yield the names of the public classes."""
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def is_too_long(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > MAX_LINES:
        yield f"has {lines} lines, more than {MAX_LINES}"


RULES: Final[tuple[Callable[[Module], Iterator[str]], ...]] = (
    imports_against_the_arrows,
    imports_from_outside,
    imports_asyncio,
    prints,
    lacks_docstrings,
    loads_its_own_modules,
    assigns_from_outside,
    is_too_long,
)


@pytest.mark.full
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_module(rule: Callable[[Module], Iterator[str]]) -> None:
    faults = [f"{m.name or 'dcsend'}: {fault}" for m in MODULES for fault in rule(m)]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.full
def test_no_two_classes_have_the_same_name() -> None:
    names = Counter(name for module in MODULES for name in class_names(module))
    assert {name for name, number in names.items() if number > 1} == SAME_NAME


@pytest.mark.full
def test_every_permission_to_import_is_used() -> None:
    used = {(module.part, name) for module in MODULES for name in imported(module)}
    unused = [
        f"{part} -> {allowed}"
        for part, permissions in MAY_IMPORT.items()
        for allowed in permissions - LEAVES
        if not any(
            user == part and f"{name}.".startswith(f"dcsend.{allowed}.") for user, name in used
        )
    ]
    assert not unused


def test_no_test_is_in_a_file_that_is_too_long() -> None:
    page = ROOT / "web-receiver" / "test"
    files = [*(ROOT / "tests").rglob("*.py"), *page.rglob("*.ts")]
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in files}
    assert not {path.name: number for path, number in lines.items() if number > MAX_LINES}


def test_every_layer_was_looked_at() -> None:
    assert {*LEAVES, *LAYERS, "sctp", "rendezvous", "session", "display", "serving", "chat"} <= {
        module.part for module in MODULES
    }
