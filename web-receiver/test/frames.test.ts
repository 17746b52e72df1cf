/** Frames: the shared vectors, damage at every byte, and frames that must not be encoded. */
import { expect, test } from "vitest";
import type { Bytes } from "../src/content.ts";
import { IntegrityError, LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import {
  abortReason,
  decodeFrame,
  encodeAbort,
  encodeAgain,
  encodeData,
  encodeHole,
  type Frame,
} from "../src/protocol/frames.ts";
import * as limits from "../src/protocol/limits.ts";
import { vectors } from "./vectors.ts";

const FRAMES = vectors("frame");
const OK = FRAMES.filter((vector) => vector.expect === "ok");
const DIGEST = Uint8Array.from({ length: 32 }, (_, place) => place);

function bytes(hex: string): Bytes {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hex(data: Uint8Array): string {
  return Buffer.from(data).toString("hex");
}

/** A frame in the form of `fields` of a vector. */
function fieldsOf(frame: Frame): object {
  const digest = frame.digest && hex(frame.digest);
  return { ...frame, payload: hex(frame.payload), digest };
}

/** Encode the frame once more. */
function encoded({ kind, number, offset, length, payload, digest }: Frame): Bytes {
  if (kind === "data") return encodeData(number, offset, payload, digest);
  if (kind === "again") return encodeAgain(number, offset, payload);
  if (kind === "hole") return encodeHole(number, offset, length);
  return encodeAbort(number, offset, abortReason(payload));
}

test("vectors of frames are there", () => {
  expect(OK.length).toBeGreaterThan(5);
  expect(FRAMES.length).toBeGreaterThan(30);
});

test.each(OK)("frame $name is decoded", ({ payload, fields }) => {
  expect(fieldsOf(decodeFrame(bytes(payload)))).toEqual(fields);
});

// The page sends neither BATCH nor RESTART, and no zeros again, so there is no encoder for them.
const NOT_SENT = /batch|restart|again-zeros/;
test.each(OK.filter(({ name }) => !NOT_SENT.test(name)))(
  "frame $name is what we make ourselves",
  ({ payload }) => {
    expect(hex(encoded(decodeFrame(bytes(payload))))).toBe(payload);
  },
);

test.each(FRAMES.filter((vector) => vector.expect === "remote-error"))(
  "frame $name breaks a rule",
  ({ payload }) => {
    expect(() => decodeFrame(bytes(payload))).toThrow(RemoteProtocolError);
  },
);

test.each(FRAMES.filter((vector) => vector.expect === "integrity-error"))(
  "frame $name is damaged",
  ({ payload }) => {
    expect(() => decodeFrame(bytes(payload))).toThrow(IntegrityError);
  },
);

test.each(OK)("frame $name is refused wherever it is truncated", ({ payload }) => {
  const message = bytes(payload);
  // The largest frame has as many truncations as bytes: those of its header, and every 997th.
  for (let size = 0; size < message.length; size += size < 100 ? 1 : 997) {
    expect(() => decodeFrame(message.slice(0, size))).toThrow(
      size < 24 ? RemoteProtocolError : IntegrityError,
    );
  }
});

test.each(FRAMES.filter((vector) => vector.payload.length < 500))(
  "every changed byte of $name is caught",
  ({ payload, expect: expected }) => {
    const message = bytes(payload);
    for (const [place, right] of message.entries()) {
      for (let change = 1; change < 256; change++) {
        message[place] = right ^ change;
        let caught: unknown = null;
        try {
          decodeFrame(message);
        } catch (error) {
          caught = error;
        }
        const refused = caught instanceof RemoteProtocolError || caught instanceof IntegrityError;
        // Only damage can turn a damaged vector into a valid frame.
        if (!refused && (caught !== null || expected !== "integrity-error")) {
          expect.fail(`byte ${place} as ${message[place]}: ${String(caught)}`);
        }
      }
      message[place] = right;
    }
  },
);

test("payload is a view and not a copy, wherever the message lies in its buffer", () => {
  const frame = encodeData(0, 0, new TextEncoder().encode("hello"));
  const buffer = new Uint8Array(frame.length + 3);
  buffer.set(frame, 3);
  const { payload } = decodeFrame(buffer.subarray(3));
  expect(payload.buffer).toBe(buffer.buffer);
  expect(new TextDecoder().decode(payload)).toBe("hello");
});

test("digest has a buffer of its own", () => {
  const frame = encodeData(0, 0, new Uint8Array(), DIGEST);
  const { digest } = decodeFrame(frame);
  frame.fill(0);
  expect(digest).toEqual(DIGEST);
});

test("part of a buffer can be sent", () => {
  const text = new TextEncoder().encode("xhello!");
  expect(encodeData(1, 2, text.subarray(1, 6))).toEqual(encodeData(1, 2, text.slice(1, 6)));
});

test.each<[string, number, number, number, Uint8Array | null]>([
  ["empty", 0, 0, 0, null],
  ["too long", 0, 0, limits.MAX_PAYLOAD + 1, null],
  ["too long with digest", 0, 0, limits.MAX_PAYLOAD_WITH_DIGEST + 1, DIGEST],
  ["short digest", 0, 0, 1, new Uint8Array(5)],
  ["negative number", -1, 0, 1, null],
  ["large number", limits.MAX_ENTRIES, 0, 1, null],
  ["negative offset", 0, -1, 1, null],
  ["large offset", 0, limits.MAX_SAFE, 1, null],
])("impossible data is never made: %s", (_, number, offset, size, digest) => {
  expect(() => encodeData(number, offset, new Uint8Array(size), digest)).toThrow(
    LocalProtocolError,
  );
});

test.each([-1, 0, limits.MAX_HOLE + 1])("hole of %i bytes is never made", (length) => {
  expect(() => encodeHole(0, 0, length)).toThrow(LocalProtocolError);
});

test("largest frames fill whole packets", () => {
  expect(encodeData(0, 0, new Uint8Array(limits.MAX_PAYLOAD)).length).toBe(56 * 1160);
  const last = new Uint8Array(limits.MAX_PAYLOAD_WITH_DIGEST);
  expect(encodeData(0, 0, last, DIGEST).length).toBe(56 * 1160);
});

test("long reason of an abort is cut at a character", () => {
  const frame = decodeFrame(encodeAbort(0, 0, `x${"ä".repeat(300)}`));
  expect(abortReason(frame.payload)).toBe(`x${"ä".repeat(249)}`);
});

test("reason of an abort may name a file that is not Unicode", () => {
  expect(abortReason(decodeFrame(encodeAbort(0, 0, "a\udcff")).payload)).toBe("a\ufffd");
});
