/** Session descriptions (`--signal sdp`); the vectors are those of tests/signaling/test_blob.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { IncompatibleVersion, MalformedCode, UsageError } from "../src/errors.ts";
import { parseServers } from "../src/peers/servers.ts";
import { checksum } from "../src/signaling/binary.ts";
import { decodeAnswer, encodeOffer, markOf } from "../src/signaling/blob.ts";
import { decode } from "../src/signaling/dialcode.ts";

const OUTCOMES = { malformed: MalformedCode, version: IncompatibleVersion };
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

type Block = readonly (readonly [key: string, value: string])[];

function readVectors(name: string): Block[] {
  const lines = readFileSync(`../tests/vectors/${name}`, "ascii").split("\n");
  const text = lines.filter((line) => !line.startsWith("#")).join("\n");
  return text
    .split("\n\n")
    .map((block) => block.split("\n").filter((line) => line !== ""))
    .filter((block) => block.length > 0)
    .map((block) =>
      block.map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)] as const;
      }),
    );
}

function field(block: Block | undefined, wanted: string): string {
  const found = block?.find(([key]) => key === wanted);
  if (found === undefined) throw new Error(`no ${wanted}`);
  return found[1];
}

function named(blocks: Block[]): [comment: string, block: Block][] {
  return blocks.map((block) => [field(block, "comment"), block]);
}

function fingerprintOf(block: Block): string {
  return (field(block, "fingerprint").match(/../g) ?? []).join(":").toUpperCase();
}

const VALID = readVectors("blob-valid.txt");
const [HEADER, ...INPUTS] = readVectors("blob-inputs.txt");
const ofType = (type: string) => VALID.filter((block) => field(block, "type") === type);

/** The SDP that a browser would have written. */
function sdpOf(block: Block): string {
  const candidates = block.filter(([key]) => key === "candidate");
  return [
    "v=0",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ...candidates.map(([, value], number) => {
      const [type, host, port] = value.split(" ");
      return `a=candidate:${number} 1 UDP 2113937151 ${host} ${port} typ ${type} generation 0`;
    }),
    "a=candidate:9 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active",
    `a=ice-ufrag:${field(block, "ufrag")}`,
    `a=ice-pwd:${field(block, "password")}`,
    `a=fingerprint:sha-256 ${fingerprintOf(block)}`,
    "a=setup:actpass",
    "a=mid:0",
    "",
  ].join("\r\n");
}

describe("the page's own code", () => {
  test.each(named(ofType("offer")))("has the text of the vectors: %s", (_comment, block) => {
    expect(encodeOffer(sdpOf(block))).toBe(field(block, "text"));
  });

  test("has no more candidates than fit", () => {
    const hosts = Array.from({ length: 20 }, (_, n) => ["candidate", `host 2001:db8::${n + 1} 1`]);
    const block = [...(ofType("offer")[0] ?? []), ...hosts] as unknown as Block;
    expect(encodeOffer(sdpOf(block)).length).toBeLessThanOrEqual(2 + Math.ceil((255 * 8) / 5));
  });

  test("is refused for an offer that lacks a field", () => {
    expect(() => encodeOffer("v=0\r\n")).toThrow("ice-ufrag");
  });
});

describe("the other side's code", () => {
  test.each(named(ofType("answer")))("becomes SDP: %s", (_comment, block) => {
    const sdp = decodeAnswer(field(block, "text"), "data");
    for (const line of [
      `a=ice-ufrag:${field(block, "ufrag")}`,
      `a=ice-pwd:${field(block, "password")}`,
      `a=fingerprint:sha-256 ${fingerprintOf(block)}`,
      `a=setup:${field(block, "setup")}`,
      "a=mid:data",
    ]) {
      expect(sdp.split("\r\n")).toContain(line);
    }
    const candidates = block.filter(([key]) => key === "candidate");
    const found = [...sdp.matchAll(/^a=candidate:\d+ 1 udp (\d+) (\S+) (\d+) typ (\w+)/gm)];
    expect(found.map(([, , host, port, type]) => `${type} ${host} ${port}`)).toEqual(
      candidates.map(([, value]) => value),
    );
    const priorities = found.map(([, priority]) => Number(priority));
    expect(priorities.every((priority) => priority > 0 && priority < 2 ** 31)).toBe(true);
  });

  test("is refused if it answers another offer", () => {
    const [offer] = ofType("offer");
    const [answer] = ofType("answer").filter((block) => block.some(([key]) => key === "mark"));
    const mark = Number.parseInt(field(answer, "mark"), 16);
    const text = field(answer, "text");
    expect(decodeAnswer(text, "0", mark)).toBe(decodeAnswer(text, "0"));
    const others = markOf(sdpOf(offer ?? []));
    expect(() => decodeAnswer(text, "0", others)).toThrow("belongs to another code");
    const sdp = `${decodeAnswer(text, "0")}a=dcsend-offer:${field(answer, "mark")}\r\n`;
    const json = JSON.stringify({ type: "answer", sdp });
    expect(decodeAnswer(json, "0", mark)).toBe(sdp);
    expect(() => decodeAnswer(json, "0", others)).toThrow("belongs to another code");
  });

  test("is refused with both prefixes if it is no code", () => {
    expect(() => decodeAnswer("garbage", "0")).toThrow(/codes begin with ds or eyJ$/);
  });

  test("has the same mark of its offer as in dcsend", () => {
    const [answer] = ofType("answer").filter((block) => block.some(([key]) => key === "mark"));
    expect(markOf(sdpOf(answer ?? []))).toBe(Number.parseInt(field(answer, "mark"), 16));
  });

  test.each(named(INPUTS))("has the outcome of the vectors: %s", (_comment, block) => {
    const input = JSON.parse(field(block, "input")) as string;
    const outcome = field(block, "outcome");
    if (outcome === "ok") {
      const right = decodeAnswer(field(HEADER, "code"), "0");
      const password = /^a=ice-pwd:.*$/m.exec(right)?.[0] ?? "";
      expect(decodeAnswer(input, "0")).toContain(password);
    } else {
      expect(() => decodeAnswer(input, "0")).toThrow(OUTCOMES[outcome as keyof typeof OUTCOMES]);
    }
  });

  test("is refused with any one character changed, missing or added", () => {
    const code = field(HEADER, "code");
    for (let place = 0; place < code.length; place++) {
      const [before, after] = [code.slice(0, place), code.slice(place + 1)];
      const changed = [...`${ALPHABET}du`].map((other) => before + other + after);
      const swapped = `${before}${after[0] ?? ""}${code[place]}${after.slice(1)}`;
      for (const text of [...changed, before + after, `${before}7${code.slice(place)}`, swapped]) {
        if (text !== code) expect(() => decodeAnswer(text, "0"), text).toThrow(/code/);
      }
    }
  });
});

describe("an answer in the demo's form", () => {
  const sdp = decodeAnswer(field(HEADER, "code"), "0");
  const coded = (sdp: string) => btoa(JSON.stringify({ type: "answer", sdp }));
  const crc = checksum(new TextEncoder().encode(sdp)).toString(16).padStart(4, "0");
  const whole = `${sdp}a=dcsend-crc:${crc}\r\n`;

  test("is read with a checksum, and without one as others make it", () => {
    expect(decodeAnswer(coded(sdp), "0")).toBe(sdp);
    expect(decodeAnswer(coded(whole), "0")).toBe(whole);
  });

  test("is refused when it was damaged on its way from a dcsend", () => {
    for (let place = 0; place < sdp.length; place++) {
      const damaged = `${whole.slice(0, place)}~${whole.slice(place + 1)}`;
      expect(() => decodeAnswer(coded(damaged), "0")).toThrow("the code is damaged");
    }
  });
});

test("a code of the other kind is refused with the next step", () => {
  const code = field(HEADER, "code");
  expect(() => decode(code)).toThrow("one of two codes");
});

describe("servers", () => {
  test("are parsed in the form that people enter", () => {
    expect(
      parseServers(" stun:stun.example.org:3478\nturn:me:s%40cret@turn.example.org?transport=tcp"),
    ).toEqual([
      { urls: "stun:stun.example.org:3478" },
      {
        urls: "turn:turn.example.org?transport=tcp",
        username: "me",
        credential: "s@cret",
      },
    ]);
    const temporary = "turn:1764400000:me@example.org:bm8+b2/l=@turn.example.org";
    expect(parseServers(temporary)).toMatchObject([
      { username: "1764400000:me@example.org", credential: "bm8+b2/l=" },
    ]);
    expect(parseServers("none")).toEqual([]);
    expect(parseServers("")).toEqual([]);
  });

  test.each([
    "https://example.org",
    "turn:example.org",
    "stun:",
    "turn:me:secret@",
    "TURN:me:secret",
    "turns:me:secret@turn.example.org?transport=udp",
    "stuns:stun.example.org",
  ])("that are none are refused: %s", (text) => {
    expect(() => parseServers(text)).toThrow(UsageError);
    expect(() => parseServers(text)).not.toThrow("secret");
  });
});
