/**
 * Session descriptions for data channels, as SDP (RFC 8866, RFC 8839, RFC 8841, RFC 8842). As
 * `dcsend/signaling/sdp.py`: reads what this browser wrote, writes what every browser reads.
 */
import type { Candidate, CandidateType, Description, SdpType, Setup } from "../description.ts";
import { MalformedCode } from "../errors.ts";

/** Component 1, UDP: priority, host, port and type. */
const CANDIDATE =
  /^(?:a=)?candidate:\S+ 1 udp (\d+) (\S+) (\d+) typ (host|srflx|prflx|relay)\b.*$/i;
const MAX_MESSAGE_SIZE = 262_144;

/**
 * Return the description in an SDP that the browser wrote, without the candidates that are not of
 * component 1 over UDP. Throws MalformedCode where it lacks a field that the other side needs.
 */
export function parseSdp(type: SdpType, sdp: string): Description {
  const ufrag = attribute(sdp, type, "ice-ufrag");
  const password = attribute(sdp, type, "ice-pwd");
  const pairs = attribute(sdp, type, "fingerprint", "sha-256 ([0-9A-Fa-f:]{95})").split(":");
  return {
    type,
    ufrag,
    password,
    fingerprint: Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)),
    setup: attribute(sdp, type, "setup", "(actpass|active|passive)") as Setup,
    candidates: sdp
      .split(/\r?\n/)
      .map(parseCandidate)
      .filter((candidate) => candidate !== null),
    offerMark: null,
  };
}

/**
 * Return the SDP of a description, for the media section `mid`; lines end with CR LF. `isComplete`:
 * no further candidates will follow.
 */
export function formatSdp(description: Description, mid: string, isComplete = true): string {
  const pairs = Array.from(description.fingerprint, (byte) => byte.toString(16).padStart(2, "0"));
  const lines = [
    "v=0",
    "o=- 0 0 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    `a=group:BUNDLE ${mid}`,
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=mid:${mid}`,
    `a=ice-ufrag:${description.ufrag}`,
    `a=ice-pwd:${description.password}`,
    `a=fingerprint:sha-256 ${pairs.join(":").toUpperCase()}`,
    `a=setup:${description.setup}`,
    "a=sctp-port:5000",
    `a=max-message-size:${MAX_MESSAGE_SIZE}`,
    ...description.candidates.map((candidate, number) => `a=${formatCandidate(candidate, number)}`),
    ...(isComplete ? ["a=end-of-candidates"] : []),
  ];
  return `${lines.join("\r\n")}\r\n`;
}

/**
 * Return a candidate as RTCIceCandidate has it; candidates of one description have different
 * numbers.
 */
export function formatCandidate(candidate: Candidate, number: number): string {
  const { type, host, port, priority } = candidate;
  // The related address is not disclosed (RFC 8839, 5.1).
  const anywhere = host.includes(":") ? "::" : "0.0.0.0";
  const base = type === "host" ? "" : ` raddr ${anywhere} rport 9`;
  return `candidate:${number} 1 udp ${priority} ${host} ${port} typ ${type}${base}`;
}

/** Read a candidate as RTCIceCandidate or SDP has it; null if it is not of component 1 and UDP. */
export function parseCandidate(line: string): Candidate | null {
  const found = CANDIDATE.exec(line.trim());
  if (found === null) return null;
  const [, priority, host = "", port, type = ""] = found;
  return {
    type: type.toLowerCase() as CandidateType,
    host: host.toLowerCase(),
    port: Number(port),
    priority: Number(priority),
  };
}

/** Return the value of the first attribute of this form. */
function attribute(sdp: string, type: SdpType, name: string, form = "(\\S+)"): string {
  const found = new RegExp(`^a=${name}:${form}[ \\t]*$`, "im").exec(sdp)?.[1];
  if (found === undefined) throw new MalformedCode(`the browser's ${type} has no usable ${name}`);
  return found;
}
