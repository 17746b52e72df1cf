"""The numbers of the protocol, as in the section Limits of PROTOCOL.md.

Imports nothing; sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from typing import Final

PROTOCOL_VERSION: Final = 1
"The version that this program supports."

VERSIONS: Final = (PROTOCOL_VERSION,)
"All versions that this program supports, as Hello lists them."

# --- control channel

MAX_CONTROL: Final = 65536
"Longest control message, in UTF-8."

SPLIT_CONTROL: Final = 48 * 1024
"Length at which a Manifest is divided."

PAIRS_PER_MESSAGE: Final = 1000
"Pairs in one Accept or Verdict; 1000 of the longest are 31 KB."
MAX_DIGESTS: Final = 256
"Digests in one Accept."
MAX_ALL_DIGESTS: Final = 16384
"Digests in all Accepts of one transfer together."

MAX_AGAIN: Final = 64
"Ranges of one file that a receiver asks for again, and such ranges that are not answered."

MAX_DEPTH: Final = 8
"Levels of nesting in a field that this version does not define."

MAX_SAFE: Final = 2**53 - 1
"Largest integer: the last that every JSON implementation represents exactly."

MAX_ENTRIES: Final = 1_000_000
"Entries of one transfer."

MAX_MANIFEST: Final = 256 * 1024 * 1024
"All Manifest messages of one transfer together, in UTF-8; bounds the receiver's time."

MAX_PATH: Final = 4096
"Longest path or link target, in code points; the layer `files` validates them further."

MAX_NAMES: Final = 8 * 1024 * 1024
"""Paths and link targets of the first n entries together, in UTF-8, in addition to
n * NAMES_PER_ENTRY, for every n. With MAX_ENTRIES this bounds them to 264 MB."""

NAMES_PER_ENTRY: Final = 256
"What each entry adds to MAX_NAMES."

MAX_LEVELS: Final = 128
"Most names in a path or in a link target; a deeper one is refused as unsafe."

MAX_MODE: Final = 0o777
"Permission bits only: never set-user-ID, set-group-ID or sticky."

MAX_AGENT: Final = 128
"Longest `agent`, in code points."

MAX_DEVICE: Final = 64
"Longest `name` of a device, in code points."

MAX_MESSAGE: Final = 500
"Longest explanation in Cancel and Decline (code points) and in an ABORT frame (UTF-8 bytes)."

MAX_REASON: Final = 64
"Longest reason in Cancel, Decline and Accept, and longest status in Verdict, in code points."

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
"Longest frame: 56 SCTP packets of 1160 bytes, so that all packets are full."

MAX_PAYLOAD: Final = MAX_FRAME - FRAME_HEADER
"Longest payload of a frame."

MAX_PAYLOAD_WITH_DIGEST: Final = MAX_PAYLOAD - DIGEST
"Longest payload of the last frame of a file."

MIN_FRAME: Final = 1024
"Smallest `max_frame` in Hello; an ABORT frame always fits."

MAX_FRAME_LIMIT: Final = 2**31 - 1
"Largest `max_frame` in Hello."

MAX_HOLE: Final = 2**30
"Longest run of zeros in one HOLE frame."

HOLE_UNIT: Final = 1024
"Zeros of a HOLE frame that count as one byte of the window."

MAX_TEXT_ENTRY: Final = 1024 * 1024
"Longest entry of kind text, which is kept in memory and shown."

WINDOW: Final = 8 * 1024 * 1024
"Bytes of data messages in flight: 8 MiB fill 1 Gbit/s at a round trip of 64 ms."

# --- text channel

MAX_TEXT: Final = 16 * 1024
"Longest message of the text channel, in UTF-8."

KEEP_ALIVE_LETTERS: Final = 15
"Letters of a keep-alive message, each of A-Z or a-z."

KEEP_ALIVE_INTERVAL: Final = 5.0
"Between two keep-alive messages."
