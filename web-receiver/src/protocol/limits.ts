/**
 * The numbers of the protocol, as in the section Limits of PROTOCOL.md and in
 * `dcsend/protocol/limits.py`. Imports nothing; sizes are in bytes, times in seconds.
 */

/** The version that this page supports. */
export const PROTOCOL_VERSION = 1;
/** All versions that this page supports, as Hello lists them. */
export const VERSIONS: readonly number[] = [PROTOCOL_VERSION];

// --- control channel

/** Longest control message, in UTF-8. */
export const MAX_CONTROL = 65536;
/** Length at which a Manifest is divided. */
export const SPLIT_CONTROL = 49152;
/** Pairs in one Accept or Verdict. */
export const PAIRS_PER_MESSAGE = 1000;
/** Digests in one Accept. */
export const MAX_DIGESTS = 256;
/** Digests in all Accepts of one transfer together. */
export const MAX_ALL_DIGESTS = 16384;
/** Ranges of one file that a receiver asks for again, and such ranges that are not answered. */
export const MAX_AGAIN = 64;
/** Levels of nesting in a field that this version does not define. */
export const MAX_DEPTH = 8;
/** Largest integer. */
export const MAX_SAFE = 9007199254740991;
/** Entries of one transfer. */
export const MAX_ENTRIES = 1_000_000;
/** All Manifest messages of one transfer together, in UTF-8; bounds the receiver's time. */
export const MAX_MANIFEST = 268435456;
/** Longest path or link target, in code points. */
export const MAX_PATH = 4096;
/** Paths and targets of the first n entries, in UTF-8, in addition to n * NAMES_PER_ENTRY. */
export const MAX_NAMES = 8388608;
/** What each entry adds to MAX_NAMES. */
export const NAMES_PER_ENTRY = 256;
/** Most names in a path; a deeper one is refused as unsafe. */
export const MAX_LEVELS = 128;
/** Permission bits only: never set-user-ID, set-group-ID or sticky. */
export const MAX_MODE = 0o777;
/** Longest `agent`, in code points. */
export const MAX_AGENT = 128;
/** Longest `name` of a device, in code points. */
export const MAX_DEVICE = 64;
/** Longest explanation in Cancel and Decline (code points) and in an ABORT frame (bytes). */
export const MAX_MESSAGE = 500;
/** Longest reason in Cancel, Decline and Accept, and longest status in Verdict, in code points. */
export const MAX_REASON = 64;
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
/** Longest frame: 56 SCTP packets of 1160 bytes. */
export const MAX_FRAME = 64960;
/** Longest payload of a frame. */
export const MAX_PAYLOAD = MAX_FRAME - FRAME_HEADER;
/** Longest payload of the last frame of a file. */
export const MAX_PAYLOAD_WITH_DIGEST = MAX_PAYLOAD - DIGEST;
/** Smallest `max_frame` in Hello; an ABORT frame always fits. */
export const MIN_FRAME = 1024;
/** Largest `max_frame` in Hello. */
export const MAX_FRAME_LIMIT = 2147483647;
/** Longest run of zeros in one HOLE frame. */
export const MAX_HOLE = 1073741824;
/** Zeros of a HOLE frame that count as one byte of the window. */
export const HOLE_UNIT = 1024;
/** Longest entry of kind text, which is kept in memory and shown. */
export const MAX_TEXT_ENTRY = 1048576;
/** Bytes of data messages in flight. */
export const WINDOW = 8388608;

// --- text channel

/** Longest message of the text channel, in UTF-8. */
export const MAX_TEXT = 16384;
/** Letters of a keep-alive message, each of A-Z or a-z. */
export const KEEP_ALIVE_LETTERS = 15;
/** Between two keep-alive messages. */
export const KEEP_ALIVE_INTERVAL = 5;
