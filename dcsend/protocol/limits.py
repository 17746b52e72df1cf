"""Every number that both sides of the protocol must agree on.

PROTOCOL.md says why each of them exists. Imports nothing; sizes are bytes, times are seconds.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1
"The version that this program speaks."

VERSIONS: Final = (PROTOCOL_VERSION,)
"All the versions that this program speaks, as Hello lists them."

# --- control channel

MAX_CONTROL: Final = 65536
"Largest control message, as UTF-8."

SPLIT_CONTROL: Final = 48 * 1024
"Where a long Manifest is continued in another message."

PAIRS_PER_MESSAGE: Final = 1000
"Pairs in one Accept or Verdict; 1000 of the longest are 31 KB."

MAX_DEPTH: Final = 8
"Deepest nesting inside a field that this version does not know."

MAX_SAFE: Final = 2**53 - 1
"Largest integer anywhere: the last that every JSON implementation holds exactly."

MAX_ENTRIES: Final = 1_000_000
"Entries of one transfer."

MAX_MANIFEST: Final = 256 * 1024 * 1024
"All Manifest messages of one transfer together, as UTF-8; bounds the receiver's time."

MAX_PATH: Final = 4096
"Longest path or link target, in code points; whether it is safe, the files layer says."

MAX_NAMES: Final = 8 * 1024 * 1024
"""Paths and link targets of the first n entries together, as UTF-8, besides n * NAMES_PER_ENTRY;
for every n. Bounds the memory of both sides: with MAX_ENTRIES, 264 MB of names."""

NAMES_PER_ENTRY: Final = 256
"What each entry adds to that."

MAX_LEVELS: Final = 128
"Most names in a path, or in a link's target; the files layer refuses a deeper one as unsafe."

MAX_MODE: Final = 0o777
"Permission bits only: never set-user-ID, set-group-ID or sticky."

MAX_AGENT: Final = 128
"Longest name of a program, in code points."

MAX_MESSAGE: Final = 500
"Longest explanation in Cancel, Decline (code points) and an ABORT frame (UTF-8 bytes)."

MAX_VERSIONS: Final = 16
"Versions in Hello."

MAX_VERSION: Final = 65535
"Largest version number."

MAX_FEATURES: Final = 64
"Features in Hello."

MAX_FEATURE: Final = 64
"Longest name of a feature, in code points."

# --- data channel

FRAME_HEADER: Final = 24
"Header of a frame."

DIGEST: Final = 32
"SHA-256 at the end of a file."

MAX_FRAME: Final = 64960
"Largest frame: 56 SCTP packets of 1160 bytes, so that none of them leaves half empty."

MAX_PAYLOAD: Final = MAX_FRAME - FRAME_HEADER
"Largest payload of a frame."

MAX_PAYLOAD_WITH_DIGEST: Final = MAX_PAYLOAD - DIGEST
"Largest payload of the last frame of a file."

MIN_FRAME: Final = 1024
"Smallest `max_frame` a Hello may ask for; an ABORT frame always fits."

MAX_FRAME_LIMIT: Final = 2**31 - 1
"Largest `max_frame` a Hello may ask for."

MAX_HOLE: Final = 2**30
"Longest run of zeros in one HOLE frame."

HOLE_UNIT: Final = 1024
"Zeros in a HOLE frame that take as much of the window as one byte of a message."

MAX_TEXT_ENTRY: Final = 1024 * 1024
"Largest entry of kind text: it is held in memory to be shown."

WINDOW: Final = 8 * 1024 * 1024
"Data-message bytes in flight: 8 MiB fills 1 Gbit/s at 64 ms."

# --- deadlines

HELLO_SECONDS: Final = 15.0
"Time in which the peer's Hello comes once the channels are open; programs send it at once."

PROGRESS_SECONDS: Final = 60.0
"""Time in which a peer takes its next step, where that is not up to a person: the next part of a
Manifest or an Accept, a frame, an Ack, a Verdict, Complete; or Working."""

WORKING_SECONDS: Final = 20.0
"Time between two Working of a peer whose disk, source or pipe takes longer than that."

# --- text channel

MAX_TEXT: Final = 16 * 1024
"Largest message of the text channel, as UTF-8."

LIVENESS_LETTERS: Final = 15
"Letters of a liveness message, each of A-Z or a-z."

LIVENESS_INTERVAL: Final = 5.0
"Time between two liveness messages."
