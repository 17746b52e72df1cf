/**
 * The content of a session description: what one side needs of the other to connect. As
 * `dcsend/description.py`. Imports nothing, so that signaling and peers can share it.
 */

/** Whether a description is an offer or an answer. */
export type SdpType = "offer" | "answer";

/** The DTLS role (RFC 8842): `active` is the client; in offers `actpass`, and the answer decides. */
export type Setup = "actpass" | "active" | "passive";

/** The type of a candidate (RFC 8445, 5.1.1). */
export type CandidateType = "host" | "srflx" | "prflx" | "relay";

/** One UDP transport address of component 1 (RFC 8839). */
export interface Candidate {
  readonly type: CandidateType;
  /** An IP address in canonical form, or an mDNS name that ends with `.local`. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
  /** 1 to 2**31 - 1; candidates with higher priority are tried first. */
  readonly priority: number;
}

/** The session description of one side; the media section is that of the offer. */
export interface Description {
  readonly type: SdpType;
  /** 4 to 256 characters of A-Z a-z 0-9 + / (RFC 8839, 5.4). */
  readonly ufrag: string;
  /** 22 to 256 of the same. */
  readonly password: string;
  /** SHA-256 of the DTLS certificate, 32 bytes. */
  readonly fingerprint: Uint8Array<ArrayBuffer>;
  readonly setup: Setup;
  /** In the order of the description; may be empty. */
  readonly candidates: readonly Candidate[];
  /** In an answer: 16 bits that identify the offer; null if unknown. */
  readonly offerMark: number | null;
}
