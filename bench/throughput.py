"""Whole dcsend against the bare aiortc data channel, interleaved in one run.

    python -m bench.throughput [--megabytes 200] [--rounds 3] [--files 10000]

Each round moves the same number of bytes through a bare channel (`bench.bare`) and through
`dcsend send` and `dcsend receive`, as processes of their own on this machine's loopback; then
many small files and one file of the same bytes. Prints a Markdown table with medians, ratios
and the peak memory of both sides, and one line of JSON. Compare ratios, not numbers: one
machine is not like another.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Transfer", "main", "random_file", "transfer"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_PATIENCE: Final = 1800
"Seconds for one transfer; a gigabyte takes about one or two minutes."
_SMALL: Final = 4096
"Bytes of each small file."


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one transfer took."""

    bytes: int
    seconds: float
    "From the accepted manifest to the last verdict, as the receiver counts."
    sender_mib: float
    "Peak resident memory."
    receiver_mib: float

    @property
    def rate(self) -> float:
        """Millions of bytes per second."""
        return self.bytes / self.seconds / 1e6


def transfer(source: Path, destination: Path) -> Transfer:
    """Move *source* into *destination* with two dcsend processes over 127.0.0.1."""
    environment = os.environ | {
        "DCSEND_STUN": "none",
        "DCSEND_NO_PAGE": "1",
        "DCSEND_ADDRESS": "127.0.0.1",
        "PYTHONPATH": str(_ROOT),
    }
    program = [sys.executable, "-m", "dcsend"]
    sender = subprocess.Popen(
        [*program, "send", str(source), "--json"],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert sender.stdout is not None
    code = json.loads(sender.stdout.readline())["code"]
    receiver = subprocess.Popen(
        [*program, "receive", code, "-o", str(destination), "-y", "--json"],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert receiver.stdout is not None
    # Read both at once: a program whose output nobody takes stands still.
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(sender.stdout.read)
        done = _last_event(receiver.stdout.read())
        _last_event(rest.result())
    # wait4 tells the peak memory of each process by itself (kilobytes on Linux).
    _, receiver_status, receiver_usage = os.wait4(receiver.pid, 0)
    _, sender_status, sender_usage = os.wait4(sender.pid, 0)
    if receiver_status or sender_status:
        raise SystemExit(f"a transfer failed: {sender_status=} {receiver_status=}")
    return Transfer(
        done["bytes"],
        done["seconds"],
        sender_usage.ru_maxrss / 1024,
        receiver_usage.ru_maxrss / 1024,
    )


def _last_event(output: str) -> dict[str, Any]:
    lines = output.splitlines()
    event: dict[str, Any] = json.loads(lines[-1])
    if not event.get("ok"):
        raise SystemExit("a transfer failed:\n" + "\n".join(lines[-3:]))
    return event


def _bare(megabytes: int) -> float:
    """Return the rate of the bare channel, in millions of bytes per second."""
    command = [sys.executable, "-m", "bench.bare", "--megabytes", str(megabytes)]
    result = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, timeout=_PATIENCE, check=True
    )
    return float(json.loads(result.stdout.splitlines()[-1])["mb_per_s"])


def random_file(path: Path, size: int) -> Path:
    """Fill *path* with *size* random bytes."""
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))
    return path


def _large(folder: Path, megabytes: int, rounds: int) -> dict[str, Any]:
    source = random_file(folder / "large.bin", megabytes * 1_000_000)
    bare, whole = [], []
    for number in range(rounds):
        bare.append(_bare(megabytes))
        whole.append(transfer(source, folder / f"large-{number}"))
        (folder / f"large-{number}" / source.name).unlink()
        print(f"round {number + 1}: bare {bare[-1]:.1f}, dcsend {whole[-1].rate:.1f} MB/s")
    ratios = [one.rate / other for one, other in zip(whole, bare, strict=True)]
    return {
        "megabytes": megabytes,
        "bare_mb_per_s": statistics.median(bare),
        "dcsend_mb_per_s": statistics.median(t.rate for t in whole),
        "ratio": statistics.median(ratios),
        "sender_mib": max(t.sender_mib for t in whole),
        "receiver_mib": max(t.receiver_mib for t in whole),
    }


def _small(folder: Path, files: int, rounds: int) -> dict[str, Any]:
    tree = folder / "small"
    tree.mkdir()
    for number in range(files):
        (tree / f"{number:06}.bin").write_bytes(os.urandom(_SMALL))
    one = random_file(folder / "one.bin", files * _SMALL)
    times: list[tuple[float, float]] = []
    for number in range(rounds):
        single = transfer(one, folder / f"one-{number}").seconds
        many = transfer(tree, folder / f"many-{number}").seconds
        times.append((many, single))
        print(f"round {number + 1}: {files} files {many:.1f} s, one file {single:.1f} s")
    return {
        "files": files,
        "many_s": statistics.median(many for many, _ in times),
        "one_s": statistics.median(single for _, single in times),
        "ratio": statistics.median(many / single for many, single in times),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the large file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=10_000, help="number of small files; 0: none")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dcsend-bench-") as name:
        large = _large(Path(name), chosen.megabytes, chosen.rounds)
        small = _small(Path(name), chosen.files, chosen.rounds) if chosen.files else None
    print("\n| what | bare aiortc | dcsend | ratio |\n|---|--:|--:|--:|")
    print(
        f"| one file of {large['megabytes']} MB, MB/s | {large['bare_mb_per_s']:.1f} "
        f"| {large['dcsend_mb_per_s']:.1f} | {large['ratio']:.2f} |"
    )
    print(
        f"| peak memory, MiB | | sender {large['sender_mib']:.0f}, "
        f"receiver {large['receiver_mib']:.0f} | |"
    )
    if small:
        print(
            f"| {small['files']} files of 4 KiB against one of the same bytes, s "
            f"| one: {small['one_s']:.1f} | many: {small['many_s']:.1f} | {small['ratio']:.2f} |"
        )
    print(json.dumps({"large": large, "small": small}))


if __name__ == "__main__":
    main()
