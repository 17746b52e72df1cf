/** Session descriptions (`--signal sdp`); the vectors are those of tests/signaling/test_blob.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { IncompatibleVersion, MalformedCode, UsageError } from "../src/errors.ts";
import { parseServers } from "../src/peers/servers.ts";
import { checksum } from "../src/signaling/binary.ts";
import { decodeAnswer, encodeOffer, mark, markOf, pack, unpack } from "../src/signaling/blob.ts";
import { decode } from "../src/signaling/dialcode.ts";
import { formatCandidate, formatSdp, parseCandidate, parseSdp } from "../src/signaling/sdp.ts";
import { hex, unhex } from "./shortcodes.ts";

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

  test("has fewer candidates with long credentials", () => {
    const hosts = Array.from({ length: 8 }, (_, n) => ["candidate", `host 2001:db8::${n + 1} 1`]);
    const block = (ofType("offer")[0] ?? []).filter(([key]) => key !== "password");
    const long = [...block, ["password", "P".repeat(128)], ...hosts] as unknown as Block;
    const { candidates } = unpack(pack(parseSdp("offer", sdpOf(long))));
    expect(candidates).toHaveLength(6);
    const longest = [...block, ["password", "P".repeat(300)]] as unknown as Block;
    expect(() => encodeOffer(sdpOf(longest))).toThrow("too long");
  });

  test("is refused for an offer that lacks a field", () => {
    expect(() => encodeOffer("v=0\r\n")).toThrow("ice-ufrag");
  });
});

describe("the binary form", () => {
  test.each(named(VALID))("is read and written as in the vectors: %s", (_comment, block) => {
    const binary = field(block, "binary");
    const description = unpack(unhex(binary));
    const marks = block.filter(([key]) => key === "mark");
    expect(description).toMatchObject({
      type: field(block, "type"),
      setup: field(block, "setup"),
      ufrag: field(block, "ufrag"),
      password: field(block, "password"),
      offerMark: marks.length > 0 ? Number.parseInt(field(block, "mark"), 16) : null,
    });
    expect(hex(description.fingerprint)).toBe(field(block, "fingerprint"));
    expect(description.candidates.map(({ type, host, port }) => `${type} ${host} ${port}`)).toEqual(
      block.filter(([key]) => key === "candidate").map(([, value]) => value),
    );
    expect(hex(pack(description))).toBe(binary);
  });

  test.each(named(VALID))("is that of the SDP of both types: %s", (_comment, block) => {
    const description = unpack(unhex(field(block, "binary")));
    const parsed = parseSdp(description.type, formatSdp(description, "data"));
    expect(parsed).toEqual({ ...description, offerMark: null });
  });

  test("has the same mark as in dcsend", () => {
    const [answer] = ofType("answer").filter((block) => block.some(([key]) => key === "mark"));
    // The offer of the vectors has the credentials and the fingerprint of this answer.
    const description = unpack(unhex(field(answer, "binary")));
    expect(mark(description)).toBe(description.offerMark);
  });

  test("is refused with any bit changed, and with unused bits", () => {
    const raw = unhex(field(VALID[0], "binary"));
    for (let bit = 0; bit < 8 * raw.length; bit++) {
      const changed = raw.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => unpack(changed)).toThrow(/code/);
    }
    const body = raw.slice(0, -2);
    body[2] = (body[2] ?? 0) | 0x40;
    const crc = checksum(body);
    expect(() => unpack(Uint8Array.of(...body, crc >> 8, crc & 0xff))).toThrow("shortest form");
  });
});

describe("a candidate", () => {
  test("is read from RTCIceCandidate and written for it", () => {
    const line = "candidate:7 1 udp 1677729535 198.51.100.7 51472 typ srflx raddr 0.0.0.0 rport 9";
    const candidate = { type: "srflx", host: "198.51.100.7", port: 51472, priority: 1677729535 };
    expect(parseCandidate(`${line} generation 0 ufrag EsAw`)).toEqual(candidate);
    expect(formatCandidate(candidate as never, 7)).toBe(line);
  });

  test("is ignored for TCP and for another component", () => {
    const host = "192.168.1.7 9 typ host";
    expect(parseCandidate(`candidate:1 1 tcp 1518280447 ${host} tcptype active`)).toBeNull();
    expect(parseCandidate(`candidate:1 2 udp 1518280447 ${host}`)).toBeNull();
    expect(parseCandidate("")).toBeNull();
  });
});

test("an SDP states whether candidates follow", () => {
  const description = unpack(unhex(field(VALID[0], "binary")));
  expect(formatSdp(description, "0")).toContain("a=end-of-candidates");
  expect(formatSdp(description, "0", false)).not.toContain("a=end-of-candidates");
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
