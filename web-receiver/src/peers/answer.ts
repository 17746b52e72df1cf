/**
 * The answer, which the listener does not send: written here from the dial code, text to text.
 *
 * Source: PROTOCOL.md, "The dialer". The ufrag carries what the offer would have carried: the
 * browser sends it to the listener in its connectivity checks.
 */
import { ConnectionFailed } from "../errors.ts";

/** The scheme and its version. */
const TAG = "dc1/";

/** A listener, as its code describes it. */
export interface DialTarget {
  /** IP addresses and UDP ports, best first; at least one. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** The ice-pwd derived from the code's secret. */
  readonly password: string;
  /** SHA-256 of the listener's certificate, 32 bytes. */
  readonly fingerprint: Uint8Array;
}

/** The largest message that a listener accepts, in bytes. */
export const MAX_MESSAGE_SIZE = 262_144;

/**
 * Return the listener's answer to `offer`, the browser's local description.
 *
 * Throws ConnectionFailed where the offer lacks a field that the listener needs.
 */
export function answer(offer: string, target: DialTarget): string {
  const mid = attribute(offer, "mid", "(\\S+)");
  // Browsers refuse a bundle without the offer's mid, or one that was not offered.
  const bundled = /^a=group:BUNDLE /im.test(offer);
  const lines = [
    "v=0",
    "o=- 0 0 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    ...(bundled ? [`a=group:BUNDLE ${mid}`] : []),
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=mid:${mid}`,
    `a=ice-ufrag:${ufrag(offer)}`,
    `a=ice-pwd:${target.password}`,
    `a=fingerprint:sha-256 ${colons(target.fingerprint)}`,
    "a=setup:passive",
    "a=sctp-port:5000",
    `a=max-message-size:${MAX_MESSAGE_SIZE}`,
    ...target.addresses.map(
      ({ host, port }, rank) =>
        `a=candidate:${rank} 1 udp ${2130706431 - rank} ${host} ${port} typ host`,
    ),
    "a=end-of-candidates",
  ];
  return `${lines.join("\r\n")}\r\n`;
}

/** Return the ufrag that carries the offer's fingerprint and ice-pwd. */
function ufrag(offer: string): string {
  // With one m-line it does not matter whether these are before or after it.
  const password = attribute(offer, "ice-pwd", "([A-Za-z0-9+/]{22,128})");
  const fingerprint = attribute(offer, "fingerprint", "sha-256 ([0-9a-f]{2}(?::[0-9a-f]{2}){31})");
  const bytes = fingerprint.split(":").map((pair) => Number.parseInt(pair, 16));
  return TAG + btoa(String.fromCharCode(...bytes)).replace("=", "") + password;
}

/** Return the value of the first attribute of this form: the match of the form's group. */
function attribute(offer: string, name: string, form: string): string {
  const found = new RegExp(`^a=${name}:${form}[ \\t]*$`, "im").exec(offer)?.[1];
  if (found === undefined) throw new ConnectionFailed(`the browser's offer has no usable ${name}`);
  return found;
}

function colons(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join(":")
    .toUpperCase();
}
