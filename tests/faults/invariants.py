"""What must hold however a case ends."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.faults.calls import ENDING, MAY_END, SHORT
from tests.faults.running import Report, Run
from tests.faults.scenes import SCENES, old_digest

__all__ = ["faults", "outcome"]

_CRASHES: Final = (
    *("Traceback", "Exception ignored", "Fatal Python error", "Warning:", "was never retrieved"),
    *("bug in dcsend", "unexpected", "is a bug"),
)
"Texts that must not be in the output of a program."

_PAIRS: Final = {
    0: {0},
    3: {3, 7, 11},
    4: {4, 7, 11},
    6: {6},
    7: {3, 4, 7, 11},
    11: {3, 4, 11},
}
"The statuses that one side may have, by that of the other."

_PARTS: Final = (".dcsend-part", ".dcsend-journal")


def faults(run: Run) -> list[str]:
    """Return the violations of a case; empty if there are none."""
    if run.hung:
        last = [[e["event"] for e in r.events][-6:] for r in (run.sender, run.receiver)]
        return [f"it did not end: {_cause(run)} {last}"]
    return [f"{fault}: {_cause(run)}" for fault in _violations(run)]


def outcome(run: Run) -> str:
    """Return a short text for the result: the statuses of the sender and the receiver."""
    return f"{'143' if run.stopped else run.sender.status}/{run.receiver.status}"


def _violations(run: Run) -> Iterator[str]:
    for name, report in (("sender", run.sender), ("receiver", run.receiver)):
        said = (report.out + report.err).decode(errors="replace")
        for crash in _CRASHES:
            if crash in said:
                yield f"the {name} says {crash!r}"
        if report.status < 0:
            yield f"the {name} was killed by signal {-report.status}"
        names = [event["event"] for event in report.events]
        if names.count("done") != 1 or names[-1] != "done":
            yield f"the {name} does not end with one `done`"
            return
        if report.events[-1]["exit"] != report.status:
            yield f"the {name} says another exit status than it has"
    yield from _statuses(run)
    yield from _verdicts(run)
    yield from _contents(run)


def _statuses(run: Run) -> Iterator[str]:
    sender, receiver = run.sender.status, run.receiver.status
    if run.case.error == SHORT:
        if (sender, receiver) != (0, 0):
            yield f"calls that transfer less than asked end it with {outcome(run)}"
    elif run.stopped:
        if sender not in (143, 7):
            yield f"the sender, ended without a receiver, ends with {sender}"
        if receiver in (0, 11):
            yield f"the receiver, which accepted nothing, ends with {receiver}"
    elif receiver not in _PAIRS.get(sender, ()):
        yield f"statuses {sender} and {receiver} don't fit"
    elif not run.failed and sender:
        yield "it failed although no call did"
    elif run.failed and run.case.side == "sender" and sender not in (0, 3, 11):
        yield f"a source that can't be read ends the run with {sender}"
    elif run.failed and run.case.side == "receiver" and run.accepted(run.receiver):
        yield from _receiver_statuses(run)


def _receiver_statuses(run: Run) -> Iterator[str]:
    """Check the end of a receiver that has accepted, and of which a call has failed."""
    sender, receiver = run.sender.status, run.receiver.status
    number = getattr(errno, run.case.error)
    fit = (0, 4) if number in ENDING else (0, 4, 11) if number in MAY_END else (0, 11)
    if run.first.endswith(f" {run.output}"):
        fit = (*fit, 4)  # the chosen folder itself can't be reached
    if receiver not in fit:
        yield f"{run.case.error} ends the receiver with {receiver}"
    if receiver == 4 and sender != 7 and not _all_failed(run):
        yield f"the receiver has lost its disk, and the sender ends with {sender}"


def _verdicts(run: Run) -> Iterator[str]:
    theirs, ours = _files(run.sender), _files(run.receiver)
    for report, files in ((run.sender, theirs), (run.receiver, ours)):
        count = sum(event["event"] == "file" for event in report.events)
        if count != len(files):
            yield "a file has two verdicts"
    for path in theirs.keys() & ours.keys():
        if theirs[path]["ok"] != ours[path]["ok"]:
            yield f"{path} is {theirs[path]['status']} and {ours[path]['status']}"
    complete = run.receiver.status in (0, 11) and not run.stopped
    if complete and theirs.keys() != ours.keys():
        yield f"only one side has a result of {sorted(theirs.keys() ^ ours.keys())}"
    bad = [path for path, file in ours.items() if not file["ok"]]
    if complete and not run.case.lasting and len(bad) > 1:
        yield f"one call failed, and {len(bad)} files did: {bad}"
    wanted = {str(path.relative_to(run.source.parent)) for path in _all_files(run.source)}
    if run.receiver.status == 0 and {path for path, file in ours.items() if file["ok"]} != wanted:
        yield "the receiver ends with 0, and not every file is ok"


def _contents(run: Run) -> Iterator[str]:
    right = {
        str(path.relative_to(run.source.parent)): _digest(path) for path in _all_files(run.source)
    }
    old = old_digest() if SCENES[run.case.scene].taken else ""
    for path, file in _files(run.receiver).items():
        if not file["ok"]:
            continue
        place = Path(file["saved"])
        if not place.is_file() or _digest(place) != right[path]:
            yield f"{path} is ok, and not there"
    for place in _all_files(run.output):
        if place.name.endswith(_PARTS):
            # The removal of earlier leftovers may fail: it is a call like others.
            if run.receiver.status == 0 and run.case.kind != "unlink" and not run.case.lasting:
                yield f"{place.name} is left over"
            continue
        name = str(place.relative_to(run.output))
        digest = _digest(place)
        if digest not in (right.get(name, ""), old) and digest not in right.values():
            yield f"{name} has another content than it should"


def _all_failed(run: Run) -> bool:
    files = _files(run.receiver)
    return bool(files) and not any(file["ok"] for file in files.values())


def _files(report: Report) -> Mapping[str, dict[str, Any]]:
    return {event["path"]: event for event in report.events if event["event"] == "file"}


def _all_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cause(run: Run) -> str:
    said = [
        f"{name}: {event['message']}"
        for name, report in (("sender", run.sender), ("receiver", run.receiver))
        for event in report.events
        if event["event"] == "error"
    ]
    return f"[{run.case}: {run.first}] {outcome(run)} {'; '.join(said)}"
