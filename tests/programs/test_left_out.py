"""Files that a sender finds but does not send: both sides report them, with the same status."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcsend.session.events import ManifestKnown
from tests.support.processes import Stage

NONE_LEFT_OUT = ManifestKnown([]).left_out.as_json()


def made(folder: Path, *names: str) -> Path:
    """Make a folder with files of these names, and return it."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)
    return folder


def test_links_that_were_left_out_are_shown_before_the_question_and_at_the_end(
    stage: Stage, tmp_path: Path
) -> None:
    tree = made(tmp_path / "tree", "a", "b")
    for number in range(5):
        (tree / f"link{number}").symlink_to("a")
    sender = stage.send(tree)
    receiver = stage.run("receive", sender.code, "-o", tmp_path / "out", terminal=True)
    receiver.until_shown(b"accept and save")
    receiver.write(b"y\n")
    ended, sent = receiver.end(), sender.end()
    assert (ended.status, sent.status) == (0, 0)
    shown = b"not sent: 5 symbolic links"
    first, question = ended.err.index(shown), ended.err.index(b"accept and save")
    assert first < question < ended.err.rindex(shown)
    assert sent.notes == [
        "5 symbolic links are left out: tree/link0, tree/link1, tree/link2 and 2 more"
    ]
    (note,) = (event for event in sent.of("error") if not event["fatal"])
    assert note["hint"] == "--links sends symbolic links as links"
    assert sent.done["left_out"] == {**NONE_LEFT_OUT, "links": 5}


def test_links_and_empty_folders_are_counted_at_the_end(stage: Stage, tmp_path: Path) -> None:
    tree = made(tmp_path / "tree")
    (tree / "empty").mkdir()
    for name in ("x", "y", "z"):
        (tree / name).symlink_to("nothing")
    (tree / "outside").symlink_to("/etc")
    sender = stage.run("send", tree, "--links", listen=False)
    code = sender.stdout.readline().decode().strip()
    receiver = stage.run("receive", code, "-y", "-o", tmp_path / "out")
    received, sent = receiver.end(), sender.end()
    assert b"received and verified 1 empty folder, 3 links, 0 B in " in received.err
    assert f"saved in {tmp_path / 'out'}".encode() in received.err
    assert b"sent and verified 1 empty folder, 3 links, 0 B in " in sent.err


@pytest.mark.parametrize("names", [("a", "b"), ()])
def test_link_that_points_elsewhere_is_left_out_and_nothing_is_wrong(
    stage: Stage, tmp_path: Path, names: tuple[str, ...]
) -> None:
    tree = made(tmp_path / "tree", *names)
    (tree / "absolute").symlink_to("/etc/passwd")
    (tree / "outside").symlink_to("../..")
    (tree / "inside").symlink_to("a")
    sent, received = stage.transfer(tree, "--links", output=tmp_path / "out")
    assert (sent.status, received.status) == (0, 0), (sent.err, received.err)
    assert received.notes == [
        "tree/absolute: not received: the link points to an absolute path",
        "tree/outside: not received: the link points outside the folder",
    ]
    for side in (sent, received):
        left = {path for path, file in side.files.items() if file["status"] == "skipped"}
        assert left == {"tree/absolute", "tree/outside"}
        assert side.done["left_out"] == NONE_LEFT_OUT
    assert sorted(os.listdir(tmp_path / "out" / "tree")) == sorted([*names, "inside"])


def test_receiver_reports_what_the_sender_could_not_read(stage: Stage, tmp_path: Path) -> None:
    tree = made(tmp_path / "tree", "a", "back\\slash")
    (tree / "link").symlink_to("a")
    sent, received = stage.transfer(tree, "--links", output=tmp_path / "out")
    assert (sent.status, received.status) == (11, 11)
    for side in (sent, received):
        assert side.of("manifest")[0]["left_out"] == {**NONE_LEFT_OUT, "unreadable": 1}
        # A file and a link have arrived.
        assert side.fatal["message"].startswith("1 of 3 failed; ")
        assert side.done["files"] == 1
    assert received.fatal["message"].endswith("; the sender can't read it, or can't send its name")
