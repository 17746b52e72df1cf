/**
 * Every number that both sides of the protocol must agree on: those of `dcsend/protocol/limits.py`,
 * where PROTOCOL.md says why each of them exists. Imports nothing; sizes are bytes, times seconds.
 */

/** The version that this page speaks. */
export const PROTOCOL_VERSION = 1;
/** All the versions that this page speaks, as Hello lists them. */
export const VERSIONS: readonly number[] = [PROTOCOL_VERSION];

// --- control channel

/** Largest control message, as UTF-8. */
export const MAX_CONTROL = 65536;
/** Where a long Manifest is continued in another message. */
export const SPLIT_CONTROL = 49152;
/** Pairs in one Accept or Verdict. */
export const PAIRS_PER_MESSAGE = 1000;
/** Deepest nesting inside a field that this version does not know. */
export const MAX_DEPTH = 8;
/** Largest integer anywhere. */
export const MAX_SAFE = 9007199254740991;
/** Entries of one transfer. */
export const MAX_ENTRIES = 1_000_000;
/** All Manifest messages of one transfer together, as UTF-8; bounds the receiver's time. */
export const MAX_MANIFEST = 268435456;
/** Longest path or link target, in code points. */
export const MAX_PATH = 4096;
/** Paths and link targets of the first n entries together, as UTF-8, besides n * NAMES_PER_ENTRY. */
export const MAX_NAMES = 8388608;
/** What each entry adds to that. */
export const NAMES_PER_ENTRY = 256;
/** Most names in a path; the files layer refuses a deeper one as unsafe. */
export const MAX_LEVELS = 128;
/** Permission bits only: never set-user-ID, set-group-ID or sticky. */
export const MAX_MODE = 0o777;
/** Longest name of a program, in code points. */
export const MAX_AGENT = 128;
/** Longest explanation in Cancel, Decline (code points) and an ABORT frame (UTF-8 bytes). */
export const MAX_MESSAGE = 500;
/** Versions in Hello. */
export const MAX_VERSIONS = 16;
/** Largest version number. */
export const MAX_VERSION = 65535;
/** Features in Hello. */
export const MAX_FEATURES = 64;
/** Longest name of a feature, in code points. */
export const MAX_FEATURE = 64;

// --- data channel

/** Header of a frame. */
export const FRAME_HEADER = 24;
/** SHA-256 at the end of a file. */
export const DIGEST = 32;
/** Largest frame: 56 SCTP packets of 1160 bytes. */
export const MAX_FRAME = 64960;
/** Largest payload of a frame. */
export const MAX_PAYLOAD = MAX_FRAME - FRAME_HEADER;
/** Largest payload of the last frame of a file. */
export const MAX_PAYLOAD_WITH_DIGEST = MAX_PAYLOAD - DIGEST;
/** Smallest `max_frame` a Hello may ask for; an ABORT frame always fits. */
export const MIN_FRAME = 1024;
/** Largest `max_frame` a Hello may ask for. */
export const MAX_FRAME_LIMIT = 2147483647;
/** Longest run of zeros in one HOLE frame. */
export const MAX_HOLE = 1073741824;
/** Zeros in a HOLE frame that take as much of the window as one byte of a message. */
export const HOLE_UNIT = 1024;
/** Largest entry of kind text: it is held in memory to be shown. */
export const MAX_TEXT_ENTRY = 1048576;
/** Data-message bytes in flight. */
export const WINDOW = 8388608;

// --- deadlines

/** Time in which the peer's Hello comes once the channels are open. */
export const HELLO_SECONDS = 15;
/** Time in which a peer takes its next step, where that is not up to a person. */
export const PROGRESS_SECONDS = 60;
/** Time between two Working of a peer whose disk, source or pipe takes longer than that. */
export const WORKING_SECONDS = 20;

// --- text channel

/** Largest message of the text channel, as UTF-8. */
export const MAX_TEXT = 16384;
/** Letters of a liveness message, each of A-Z or a-z. */
export const LIVENESS_LETTERS = 15;
/** Time between two liveness messages. */
export const LIVENESS_INTERVAL = 5;
