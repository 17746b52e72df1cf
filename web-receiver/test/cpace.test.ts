/** CPace with the vectors of the draft, and with another implementation of its map. */
import { readFileSync } from "node:fs";
import { _map_to_curve_elligator2_curve25519 as elligator2 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { describe, expect, test } from "vitest";
import { RemoteProtocolError } from "../src/errors.ts";
import {
  confirmationTag,
  generator,
  generatorString,
  isTag,
  lvCat,
  mapToCurve,
  scalarMult,
  sessionKey,
} from "../src/rendezvous/cpace.ts";
import { hex, unhex } from "./shortcodes.ts";

const VECTORS = JSON.parse(
  readFileSync(new URL("../../tests/vectors/cpace.json", import.meta.url), "utf-8"),
);
const RUN: Readonly<Record<string, string>> = VECTORS.run;
const value = (name: string) => unhex(RUN[name] ?? "");
const A = { share: value("Ya"), data: value("ADa") };
const B = { share: value("Yb"), data: value("ADb") };
const POINTS: readonly { u: string; q: string; abort: boolean }[] = VECTORS.low_order_points.points;

describe("vectors of the draft", () => {
  test.each(VECTORS.prepend_len as { data: string; result: string }[])(
    "a length in LEB128 precedes the data: $result",
    ({ data, result }) => {
      expect(hex(lvCat(unhex(data)))).toBe(result);
    },
  );

  test("several parts follow each other with their lengths", () => {
    const parts: string[] = VECTORS.lv_cat.parts;
    expect(hex(lvCat(...parts.map(unhex)))).toBe(VECTORS.lv_cat.result);
  });

  test("the words have this generator", () => {
    const string = generatorString(value("PRS"), value("CI"), value("sid"));
    expect(hex(string)).toBe(RUN.generator_string);
    expect(hex(mapToCurve(value("hash")))).toBe(RUN.g);
    expect(hex(mapToCurve(value("u")))).toBe(RUN.g);
    expect(hex(generator(value("PRS"), value("CI"), value("sid")))).toBe(RUN.g);
  });

  test("each side has this share", () => {
    expect(hex(scalarMult(value("ya"), value("g")))).toBe(RUN.Ya);
    expect(hex(scalarMult(value("yb"), value("g")))).toBe(RUN.Yb);
  });

  test("both sides have this shared point", () => {
    expect(hex(scalarMult(value("ya"), value("Yb")))).toBe(RUN.K);
    expect(hex(scalarMult(value("yb"), value("Ya")))).toBe(RUN.K);
  });

  test("the session key of initiator and responder is this one", () => {
    expect(hex(sessionKey(value("sid"), value("K"), A, B))).toBe(RUN.ISK_IR);
  });

  test("each side confirms with this tag", () => {
    expect(hex(confirmationTag(value("sid"), value("ISK_IR"), A))).toBe(VECTORS.confirmation.Ta);
    expect(hex(confirmationTag(value("sid"), value("ISK_IR"), B))).toBe(VECTORS.confirmation.Tb);
  });

  test.each(POINTS.filter(({ abort }) => abort))("a point of low order is refused: $u", ({ u }) => {
    const scalar = unhex(VECTORS.low_order_points.s);
    expect(() => scalarMult(scalar, unhex(u))).toThrow(RemoteProtocolError);
  });

  test.each(POINTS.filter(({ abort }) => !abort))(
    "another encoding of a usable point is read without its highest bit: $u",
    ({ u, q }) => {
      const scalar = unhex(VECTORS.low_order_points.s);
      expect(hex(scalarMult(scalar, unhex(u)))).toBe(q);
    },
  );
});

test("a share of another length is refused", () => {
  for (const length of [0, 31, 33]) {
    expect(() => scalarMult(value("ya"), new Uint8Array(length))).toThrow(`${length} bytes`);
  }
});

test("any bytes are mapped as by another implementation", () => {
  const toNumber = (bytes: Uint8Array) => BigInt(`0x${hex(bytes.slice().reverse())}`);
  const p = 2n ** 255n - 19n;
  for (let number = 0; number < 100; number++) {
    const bytes = sha512(Uint8Array.of(number)).slice(0, 32);
    const { xMn, xMd } = elligator2((toNumber(bytes) & (2n ** 255n - 1n)) % p);
    expect((toNumber(mapToCurve(bytes)) * xMd - xMn) % p).toBe(0n);
  }
});

test("a tag that differs in any bit or in its length is refused", () => {
  const [sid, isk] = [value("sid"), value("ISK_IR")];
  const right = confirmationTag(sid, isk, A);
  const same = (tag: Uint8Array) => isTag(tag, sid, isk, A);
  expect(same(right.slice())).toBe(true);
  for (let bit = 0; bit < 512; bit += 3) {
    const wrong = right.slice();
    wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(same(wrong)).toBe(false);
  }
  expect(same(right.slice(0, 63))).toBe(false);
  expect(same(Uint8Array.of(...right, 0))).toBe(false);
  expect(same(new Uint8Array())).toBe(false);
});
