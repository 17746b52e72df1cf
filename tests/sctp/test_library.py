"""`dcsend.sctp` as a library: the public names, and the example of docs/sctp.md."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import dcsend.sctp
from dcsend.sctp import Bbr, Controller

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sctp.md").read_text(encoding="utf-8")


def test_example_of_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [example] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    exec(compile(example, "docs/sctp.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.splitlines() == [
        "['hello']",
        "ended: in order",
        "ended: the peer aborted the association",
    ]


@pytest.mark.parametrize("name", dcsend.sctp.__all__)
def test_every_public_name_exists_and_is_in_the_document(name: str) -> None:
    assert getattr(dcsend.sctp, name) is not None
    assert f"`{name}" in DOCUMENT


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="Cubic"):
        dcsend.sctp.Cubic  # noqa: B018


def test_no_other_name_of_its_modules_is_public() -> None:
    modules = [
        import_module(f"dcsend.sctp.{one.name}") for one in iter_modules(dcsend.sctp.__path__)
    ]
    names = {name for module in modules for name in module.__all__}
    assert names > set(dcsend.sctp.__all__)
    for name in names - set(dcsend.sctp.__all__):
        assert not hasattr(dcsend.sctp, name), name


@pytest.mark.full
def test_importing_the_package_imports_none_of_its_modules() -> None:
    """So that threads that import different modules of it never wait for each other."""
    program = (
        "import sys, dcsend.sctp\n"
        "print(*(name for name in sys.modules if name.startswith('dcsend.sctp.')))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert output.split() == []


def test_sharing_can_be_switched_off() -> None:
    make = partial(Bbr, sharing=False)
    control: Controller = make(1200, 0.0)
    assert control.window == 12_000
