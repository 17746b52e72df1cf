"""Add what is generated to wheel and source archive: the page for browsers, and the manual page.

A wheel gets `dcsend/page.html`, a bill of what the page bundles, and `share/man/man1/dcsend.1`. The
source archive has the built page beside its sources, so that a wheel built from it needs no
Node.js. Called by hatchling; scripts/ has page.py, sbom.py and manpage.py.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Builds the page if it is not built yet, and writes the manual page."""

    def dependencies(self) -> list[str]:
        """Return typer, for the manual page, and Node.js if the page needs it and it is missing."""
        page = self._script("page")
        node = [] if page.is_built() or page.find_node() else [page.NODE_WHEEL]
        return node + [one for one in self.metadata.core.dependencies if one.startswith("typer")]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files; an editable installation finds the page where `make page` puts it."""
        if version == "editable":
            return
        page = self._script("page")
        if not page.is_built():
            tools = page.find_node()
            if tools is None:
                raise RuntimeError(
                    f"the page for browsers needs Node.js: install {page.NODE_WHEEL} first"
                )
            page.build(tools)
        if self.target_name == "wheel":
            build_data["force_include"][str(page.OUTPUT)] = "dcsend/page.html"
            sbom = self._script("sbom")
            sbom.write(self.metadata.version, page.OUTPUT)
            build_data["sbom_files"].append(sbom.FILE.relative_to(self.root).as_posix())
            manual = page.OUTPUT.with_name("dcsend.1")
            # In a process of its own: it imports dcsend, and this one may build other versions.
            script = Path(self.root, "scripts", "manpage.py")
            subprocess.run([sys.executable, script, manual], check=True)
            build_data["shared_data"][str(manual)] = "share/man/man1/dcsend.1"
        else:
            folder = page.OUTPUT.parent
            for file in sorted(folder.iterdir()):
                name = file.relative_to(self.root).as_posix()
                build_data["force_include"][str(file)] = name

    def _script(self, name: str) -> Any:  # noqa: ANN401 - a module
        spec = importlib.util.spec_from_file_location(
            f"dcsend_build_{name}", Path(self.root, "scripts", f"{name}.py")
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
