/** How the two sides connect again: what a connection needs. As `dcsend/session/ways_back.py`. */
import type { Link } from "../peers/contract.ts";
import type { Server } from "../rendezvous/servers.ts";

/** Dials once more, with the same certificate; a check must be answered within so many seconds. */
export type Redial = (patience: number, signal: AbortSignal) => Promise<Link>;

/** With what a page connects again after it was loaded again. */
export interface Ticket {
  /** The dial code; empty after a short one. */
  readonly code: string;
  readonly certificate: RTCCertificate;
  /** Where the sides of a short code meet. */
  readonly reunion?: Reunion;
}

/** What a side of a short code keeps to meet the other one again. */
export interface Reunion {
  /** Whether this side has shown the code. */
  readonly shows?: boolean;
  /** As `Joiner.again` in rendezvous/handshake.ts. */
  readonly key: Uint8Array<ArrayBuffer>;
  readonly server: Server;
  /** As in `ShortCodeOptions` of session/joining.ts. */
  readonly servers: string;
  /** Of the certificate of the other side. */
  readonly fingerprint: Uint8Array<ArrayBuffer>;
}
