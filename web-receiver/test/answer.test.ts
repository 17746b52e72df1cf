/** The listener's answer, written from the offers of browsers. */
import { expect, test } from "vitest";
import { ConnectionFailed } from "../src/errors.ts";
import { answer, type DialTarget } from "../src/peers/answer.ts";
import { CHROMIUM_OFFER } from "./fake-peer.ts";

const TARGET: DialTarget = {
  addresses: [
    { host: "192.0.2.7", port: 40_000 },
    { host: "2001:db8::7", port: 40_001 },
  ],
  password: "1X03PMfeXb9SMaeT/+w5m7OO",
  fingerprint: Uint8Array.from({ length: 32 }, (_, number) => number),
};

// Bytes 0xe0 to 0xff, as in Chromium's offer in fake-peer.ts.
const OWN = Array.from({ length: 32 }, (_, n) => (n + 224).toString(16));
const OWN_BASE64 = Buffer.from(OWN.join(""), "hex").toString("base64").replace("=", "");

const FIREFOX_OFFER = [
  "v=0",
  "o=mozilla...THIS_IS_SDPARTA-99.0 5967250818278434902 0 IN IP4 0.0.0.0",
  "s=-",
  "t=0 0",
  "a=sendrecv",
  `a=fingerprint:sha-256 ${OWN.join(":").toUpperCase()}`,
  "a=group:BUNDLE 0",
  "a=ice-options:trickle",
  "a=msid-semantic:WMS *",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 0.0.0.0",
  "a=sendrecv",
  "a=ice-pwd:fecc20729be7553bf5d36037e960bcf9",
  "a=ice-ufrag:e4c02bd2",
  "a=mid:0",
  "a=setup:actpass",
  "a=sctp-port:5000",
  "a=max-message-size:1073741823",
  "",
].join("\r\n");

const ANSWER = [
  "v=0",
  "o=- 0 0 IN IP4 0.0.0.0",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 0.0.0.0",
  "a=mid:0",
  `a=ice-ufrag:dc1/${OWN_BASE64}3uXwOoSPIC4i79hdex7FEfvd`,
  "a=ice-pwd:1X03PMfeXb9SMaeT/+w5m7OO",
  "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F",
  "a=setup:passive",
  "a=sctp-port:5000",
  "a=max-message-size:262144",
  "a=candidate:0 1 udp 2130706431 192.0.2.7 40000 typ host",
  "a=candidate:1 1 udp 2130706430 2001:db8::7 40001 typ host",
  "a=end-of-candidates",
  "",
].join("\r\n");

test("answer to Chromium is the one of PROTOCOL.md", () => {
  expect(answer(CHROMIUM_OFFER, TARGET)).toBe(ANSWER);
});

test("answer to Firefox finds what the description has for the whole session", () => {
  expect(answer(FIREFOX_OFFER, TARGET)).toBe(
    ANSWER.replace("3uXwOoSPIC4i79hdex7FEfvd", "fecc20729be7553bf5d36037e960bcf9"),
  );
});

test("spelling of the fingerprint does not matter", () => {
  const spelt = CHROMIUM_OFFER.replace("sha-256", "SHA-256").replace(/E0:E1/, "e0:e1");
  expect(answer(spelt, TARGET)).toBe(ANSWER);
});

test("fingerprints of other kinds are passed over", () => {
  const more = CHROMIUM_OFFER.replace("a=finger", "a=fingerprint:sha-1 00:11:22\r\na=finger");
  expect(answer(more, TARGET)).toBe(ANSWER);
});

test("offer may have line feeds alone", () => {
  expect(answer(CHROMIUM_OFFER.replaceAll("\r\n", "\n"), TARGET)).toBe(ANSWER);
});

test("answer has the offer's mid", () => {
  const offer = CHROMIUM_OFFER.replace("mid:0", "mid:data").replace("BUNDLE 0", "BUNDLE data");
  expect(answer(offer, TARGET)).toBe(
    ANSWER.replace("mid:0", "mid:data").replace("BUNDLE 0", "BUNDLE data"),
  );
});

test("answer has no bundle where none was offered", () => {
  expect(answer(CHROMIUM_OFFER.replace("a=group:BUNDLE 0\r\n", ""), TARGET)).toBe(
    ANSWER.replace("a=group:BUNDLE 0\r\n", ""),
  );
});

test("ufrag is within what ICE allows", () => {
  const ufrag = /a=ice-ufrag:(.*)/.exec(answer(FIREFOX_OFFER, TARGET))?.[1];
  expect(ufrag).toMatch(/^[A-Za-z0-9+/]{4,256}$/);
});

test.each([
  ["mid", /a=mid:0\r\n/, ""],
  ["ice-pwd", /3uXwOoSPIC4i79hdex7FEfvd/, "short"],
  ["ice-pwd", /3uXwOoSPIC4i79hdex7FEfvd/, "3uXwOoSPIC4i79hdex7F-_vd"],
  ["fingerprint", /sha-256/, "sha-512"],
])("offer without a usable %s is refused", (name, found, replacement) => {
  const offer = CHROMIUM_OFFER.replace(found, replacement);
  expect(() => answer(offer, TARGET)).toThrow(`the browser's offer has no usable ${name}`);
  expect(() => answer(offer, TARGET)).toThrow(ConnectionFailed);
});
