"""Put the page for browsers into what is built: `dcsend/page.html` in a wheel, and what it bundles.

The source archive carries the built page beside its sources, so that a wheel built from it needs no
Node.js. Called by hatchling; how the page is built is in scripts/page.py.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Builds the page where it is not built yet."""

    def dependencies(self) -> list[str]:
        """Ask for Node.js where it is needed and the machine has none."""
        page = self._script("page")
        return [] if page.is_built() or page.find_node() else [page.NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the page; an editable installation finds it where `make page` puts it."""
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
