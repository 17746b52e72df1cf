"""The command line; see the package."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Final

from tests.powercuts.disks import FILE_SYSTEMS
from tests.powercuts.planted import plant
from tests.powercuts.rounds import carry_out
from tests.powercuts.scale import scale
from tests.powercuts.scenes import SCENES
from tests.powercuts.table import SAMPLE, table, write
from tests.powercuts.table import carry_out as carry_out_all

_INSIDE: Final = "DCSEND_TESTS_MOUNTS"
"Set in the process whose mounts no other process sees."


def main(arguments: list[str]) -> int:
    """Run the command line; return 1 if a check has failed."""
    os.environ |= {"DCSEND_STUN": "none", "DCSEND_NO_PAGE": "1"}
    if arguments and arguments != ["--sample"]:
        return _one(*arguments)
    cases = SAMPLE if arguments else tuple(table())
    results, values = carry_out_all(cases, None) if arguments else carry_out_all(cases)
    if not arguments:
        write(results, cases, values)
    faults = [
        f"{case}: {fault}"
        for case, value in zip(cases, values, strict=True)
        for fault in value["faults"]
    ]
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    return 1 if faults else 0


def _one(scene: str, system: str, seed: str, cuts: str, defect: str = "") -> int:
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = "1"
        command = (sys.executable, "-m", "tests.powercuts", scene, system, seed, cuts, defect)
        os.execvp("unshare", ("unshare", "--mount", *command))
    if defect:
        plant(defect)
    scale(SCENES[scene].factor)
    with contextlib.redirect_stdout(io.StringIO()):
        result = carry_out(SCENES[scene], FILE_SYSTEMS[system], int(seed), int(cuts))
    sys.stdout.write(json.dumps(result.value()) + "\n")
    return 0


sys.exit(main(sys.argv[1:]))
