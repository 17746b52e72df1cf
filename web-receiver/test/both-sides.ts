/** Both sides of a short code in one process, for tests. */
import { vi } from "vitest";
import type { DcsendError } from "../src/errors.ts";
import type { Connection } from "../src/peers/contract.ts";
import type { Server } from "../src/rendezvous/servers.ts";
import { join } from "../src/session/joining.ts";
import { showCodes } from "../src/session/short_codes.ts";
import { read, type ShortCode } from "../src/signaling/shortcode.ts";
import { Attempts, MemoryServer } from "./memory-server.ts";

export const TLS: Server = {
  url: "wss://rendezvous.example.org/v1",
  name: "rendezvous.example.org",
};
export const PLAIN: Server = { url: "ws://localhost:4000/v1", name: "ws://localhost:4000/v1" };
/** STUN and TURN servers that a person has named. */
export const TYPED = "turn:user:password@relay.example.org";
const CERTIFICATE = {} as RTCCertificate;
export const WORDS = ["walrus", "umbrella"];

/** How an attempt stands. */
interface State {
  connection?: Connection;
  error?: DcsendError;
}

function watched(attempt: Promise<Connection>): State {
  const state: State = {};
  attempt.then(
    (connection) => {
      state.connection = connection;
    },
    (error: DcsendError) => {
      state.error = error;
    },
  );
  return state;
}

/** A page that shows codes, and what it has shown. */
export class Shown {
  readonly codes: (string | null)[] = [];
  readonly notes: string[] = [];
  readonly leaving = new AbortController();
  isConnecting = false;
  /** Answers the question whether another code is wanted; null while there is none. */
  another: (() => void) | null = null;
  readonly state: State;

  constructor(server: MemoryServer, attempts: Attempts, where = TLS) {
    const options = {
      server: where,
      servers: TYPED,
      open: attempts.open,
      certificate: CERTIFICATE,
      mailbox: { newSocket: server.newSocket },
      note: (message: string, hint = "") => this.notes.push([message, hint].join("; ")),
      show: (code: string | null) => this.codes.push(code),
      connecting: () => {
        this.isConnecting = true;
      },
      confirm: () =>
        new Promise<void>((resolve) => {
          this.another = resolve;
        }),
      words: () => WORDS,
    };
    this.state = watched(showCodes(options, this.leaving.signal));
  }

  /** The last code. */
  get code(): string {
    return this.codes.at(-1) ?? "";
  }
}

/** A page that has been given a code. */
export class Joined {
  readonly notes: string[] = [];
  readonly leaving = new AbortController();
  spent = 0;
  readonly state: State;

  constructor(server: MemoryServer, attempts: Attempts, code: string | ShortCode, isLink = false) {
    const options = {
      server: TLS,
      servers: TYPED,
      open: attempts.open,
      mailbox: { newSocket: server.newSocket },
      note: (message: string) => this.notes.push(message),
      spent: () => {
        this.spent += 1;
      },
      isLink,
      certificate: CERTIFICATE,
    };
    const short = typeof code === "string" ? read(code) : code;
    this.state = watched(join(short, options, this.leaving.signal));
  }
}

/** Let everything happen that needs no time. */
export const settle = () => vi.advanceTimersByTimeAsync(0);

/** Return a page that shows a code, with its server and attempts. */
export async function shown(where = TLS) {
  const [server, attempts] = [new MemoryServer(), new Attempts()];
  const page = new Shown(server, attempts, where);
  await settle();
  return { server, attempts, page };
}
