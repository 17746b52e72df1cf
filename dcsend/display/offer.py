"""The question whether to accept an offer, and what to do about existing files; pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dcsend.display.wording import counted, short
from dcsend.entry import Chosen, Existing, Kind
from dcsend.printable import format_size
from dcsend.session.events import ManifestKnown

__all__ = ["Question", "answer_of", "can_choose", "of_chosen", "question"]

_MAX_NAMES: Final = 3
"Names of existing files in the question."

_YES: Final[dict[str, bool | Existing]] = {"y": True, "yes": True}
_NO: Final = ("n", "no", "q", "quit")
_DECLINES: Final[dict[str, bool | Existing]] = dict.fromkeys(_NO, False)
_NOT_NOW: Final[dict[str, bool | Existing]] = dict.fromkeys(_NO, Existing.REFUSE)
"""If files exist, `n` does not decline the offer, since the user may want another folder or option.
It has the effect of `-y`: the offer is refused because of existing files, the code stays valid."""
_POLICIES: Final[dict[str, bool | Existing]] = {
    answer: policy
    for policy in (Existing.OVERWRITE, Existing.RENAME, Existing.SKIP)
    for answer in (policy.value[0], policy.value)
}
_DONE: Final = {
    Existing.OVERWRITE: "replaced",
    Existing.RENAME: "kept, what is sent gets another name",
    Existing.SKIP: "skipped",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its possible answers."""

    facts: str
    "Which offered files exist; empty if none does."
    prompt: str
    "One line; the answer is typed after it."
    answers: Mapping[str, bool | Existing]
    "Decisions by typed text in lower case; `n` is also used at the end of input."
    reminder: str
    "Shown after any other text."


def question(
    manifest: ManifestKnown, accept: str, place: str, *, is_file: bool, explicit: str = ""
) -> Question:
    """Return the question about an offer.

    Args:
        manifest: the offer.
        accept: the effect of a yes, as a question.
        place: the path of the destination, escaped.
        is_file: whether *place* is the path of the only offered file, not of a folder.
        explicit: why Enter alone is not accepted as an answer, because it may be meant for an
            earlier question; empty if it is.
    """
    taken = manifest.taken
    several = can_choose(manifest)
    choice = "c chooses, l lists all" if several else "l lists all"
    if taken and manifest.existing is Existing.REFUSE:
        them = "it" if len(taken) == 1 else "them"
        listed = f"{_files(len(taken))} in {place} already: {_names(manifest)}"
        exist = f"{place} exists already" if is_file else listed
        c, choose = ("/c", "c to choose, ") if several else ("", "")
        return Question(
            "; ".join(filter(None, (exist, _same(manifest)))),
            f"overwrite, rename or skip {them}, or accept nothing now? [o/r/s/n{c}, l lists all] ",
            _POLICIES | _NOT_NOW,
            f"type o to overwrite {them}, r to save beside {them}, s to skip {them}, "
            f"{choose}or n to accept nothing now",
        )
    facts = _facts(manifest)
    if explicit:
        return Question(
            facts, f"{accept} [y/n, {choice}] ", _YES | _DECLINES, f"type y or n: {explicit}"
        )
    prompt = f"{accept} [Y/n, {choice}] "
    return Question(facts, prompt, {"": True, **_YES, **_DECLINES}, "type y or n")


def can_choose(manifest: ManifestKnown) -> bool:
    """Return whether there is more than one thing that can be received."""
    kinds = (kind for kind in manifest.kinds() if kind is not Kind.DIRECTORY)
    return len(list(itertools.islice(kinds, 2))) == 2


def of_chosen(manifest: ManifestKnown, unwanted: frozenset[int]) -> ManifestKnown:
    """Return the offer without what is not wanted, as far as a question needs it."""
    taken = [number for number in manifest.taken if number not in unwanted]
    files = sum(
        kind is not Kind.DIRECTORY and number not in unwanted
        for number, kind in enumerate(manifest.kinds())
    )
    fresh = max(0, files - len(taken))
    return replace(manifest, taken=taken, fresh=fresh, resumed=0, same=0, compared=0)


def answer_of(decision: bool | Existing, unwanted: frozenset[int]) -> bool | Existing | Chosen:
    """Return a decision about what is left of an offer without *unwanted*."""
    if not unwanted or not decision or decision is Existing.REFUSE:
        return decision
    return Chosen(unwanted, decision if isinstance(decision, Existing) else None)


def _facts(manifest: ManifestKnown) -> str:
    """Return what of an offer exists, if nothing has to be decided about it."""
    facts: list[str] = []
    if taken := len(manifest.taken):
        new = "none is new" if not manifest.fresh else f"{manifest.fresh} {_be(manifest.fresh)} new"
        facts.append(f"{_files(taken)} and {_be(taken)} {_DONE[manifest.existing]}; {new}")
    if manifest.same:
        facts.append(_same(manifest))
    if manifest.compared:
        amount = format_size(manifest.compared)
        facts.append(f"{amount} of these files are compared, and not sent if they are the same")
    if manifest.resumed:
        amount = format_size(manifest.resumed)
        facts.append(f"{amount} of it are there from an earlier run and are not sent again")
    return "; ".join(facts)


def _same(manifest: ManifestKnown) -> str:
    """Return how many files need not be sent; empty if none."""
    same = manifest.same
    return f"{counted(same, 'file')} {_be(same)} there already and not sent" if same else ""


def _files(number: int) -> str:
    return f"{counted(number, 'file')} {'exists' if number == 1 else 'exist'}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _names(manifest: ManifestKnown) -> str:
    taken: Sequence[int] = manifest.taken
    names = ", ".join(short(manifest.entries[number].path) for number in taken[:_MAX_NAMES])
    more = len(taken) - _MAX_NAMES
    return f"{names} and {more} more" if more > 0 else names
