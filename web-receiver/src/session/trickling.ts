/**
 * Two sides with a mailbox exchange their candidates while they connect: for both halves. As
 * `dcsend/session/trickling.py`.
 *
 *     ours:    found ─► sealed ─► mailbox        theirs: mailbox ─► opened ─► ICE
 */
import type { Description } from "../description.ts";
import { CodeUsed, ConnectionFailed, DcsendError, Interrupted } from "../errors.ts";
import type { Link } from "../peers/contract.ts";
import type { Trickle } from "../peers/trickle.ts";
import { printable } from "../printable.ts";
import type { Message } from "../rendezvous/handshake.ts";
import type { Bye, Item } from "../rendezvous/items.ts";
import type { Mailbox } from "../rendezvous/mailbox.ts";
import { formatCandidate, formatSdp, parseCandidate, parseSdp } from "../signaling/sdp.ts";

/** The only media section of a description that travels without its identification tag. */
export const MID = "0";

/** Our candidates that are sent; the limit of the protocol is 32. */
const MOST = 30;
/** UTF-8 bytes of a message in a bye. */
const MAX_MESSAGE = 150;

/** ICE with one peer, as in peers/trickle.ts. */
export type Attempt = Pick<
  Trickle,
  | "prepare"
  | "addServers"
  | "describe"
  | "outgoing"
  | "add"
  | "end"
  | "establish"
  | "refused"
  | "close"
  | "problems"
  | "network"
  | "setNetwork"
>;

/** One side of the handshake of a short code, after its confirmation. */
export interface Party {
  /** Return the next phase and its body. */
  seal(items: readonly Item[]): Message;
  /** Return the items that are due, in order. */
  received(phase: string, body: Uint8Array<ArrayBuffer>): Item[];
}

/** A note for the user, with what to do; an empty one removes the last. Does not end the run. */
export type Note = (message: string, hint?: string) => void;

/** Return the item for our description; its candidates follow one by one. */
export function described(type: "offer" | "answer", sdp: string): Item {
  const description: Description = { ...parseSdp(type, sdp), candidates: [] };
  return { kind: "description", description };
}

/**
 * Connect while candidates are exchanged. `theirs` is the peer's description, which has been given
 * to the browser if it is an offer; `early` are the items that came with it.
 *
 * Rejects with ConnectionFailed if no path was found, or with the reason that the peer has sent.
 */
export async function connect(
  attempt: Attempt,
  theirs: Description,
  mailbox: Pick<Mailbox, "add" | "next">,
  party: Party,
  early: readonly Item[],
  note: Note,
): Promise<Link> {
  let isOver = false;
  const send = async () => {
    let left = MOST;
    for await (const lines of attempt.outgoing()) {
      const candidates = lines.map(parseCandidate).filter((one) => one !== null);
      const some = candidates.slice(0, left);
      left -= some.length;
      if (isOver) return;
      if (some.length > 0) {
        const items = some.map((candidate): Item => ({ kind: "candidate", candidate }));
        mailbox.add(...party.seal(items));
      }
    }
    if (isOver) return;
    mailbox.add(...party.seal([{ kind: "end" }]));
    for (const { message, hint } of attempt.problems) note(message, hint);
    const network = await attempt.network;
    if (!isOver) mailbox.add(...party.seal([{ kind: "network", ...network }]));
  };
  let count = theirs.candidates.length;
  const end = (bye: Bye) => {
    if (bye.reason !== "error") throw refusal(bye);
    // The reason that is known here has the next step.
    attempt.refused(printable(bye.message));
  };
  const pass = (items: readonly Item[]) => {
    for (const item of items) {
      if (item.kind === "candidate") attempt.add(formatCandidate(item.candidate, count++));
      else if (item.kind === "end") attempt.end();
      else if (item.kind === "network") attempt.setNetwork(item);
      else if (item.kind === "bye") end(item);
    }
  };
  const receive = async () => {
    pass(early);
    while (!isOver) {
      let items: Item[];
      try {
        items = party.received(...(await mailbox.next()));
      } catch (error) {
        // Without the mailbox a path may still be found, with the candidates that are there.
        if (error instanceof DcsendError) return;
        throw error;
      }
      pass(items);
    }
  };
  for (const [number, candidate] of theirs.candidates.entries()) {
    attempt.add(formatCandidate(candidate, number));
  }
  const answer =
    theirs.type === "answer" ? formatSdp({ ...theirs, candidates: [] }, MID, false) : "";
  const failed = (work: Promise<void>) => {
    return new Promise<never>((_, reject) => work.catch(reject));
  };
  try {
    return await Promise.race([attempt.establish(answer), failed(send()), failed(receive())]);
  } finally {
    isOver = true;
  }
}

/** Return the items of the first message of the other side that has some. */
export async function answered(mailbox: Pick<Mailbox, "next">, party: Party): Promise<Item[]> {
  for (;;) {
    const items = party.received(...(await mailbox.next()));
    if (items.length > 0) return items;
  }
}

/** Send why this side does not connect, unless the exchange has failed. */
export function sayBye(mailbox: Mailbox, party: Party, reason: string, said = ""): void {
  const bytes = new TextEncoder().encode(said.replace(/\0/g, "")).slice(0, MAX_MESSAGE);
  const message = new TextDecoder().decode(bytes).replace(/\ufffd$/, "");
  try {
    mailbox.add(...party.seal([{ kind: "bye", reason, message }]));
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
  }
}

/** Return the error for a peer that does not connect. */
export function refusal({ reason, message }: Bye): DcsendError {
  if (reason === "interrupted") return new ConnectionFailed("the other side has ended the attempt");
  if (reason === "used") return new CodeUsed("another device has used the code");
  if (reason === "busy") {
    const busy = "another device is connected to the other side";
    return new ConnectionFailed(busy, "ask for a new code");
  }
  return new ConnectionFailed(
    `the other side does not connect: ${printable(message)}`,
    "ask for a new code",
  );
}

/** Reject when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<never> {
  const gone = new Promise<never>((_, reject) => {
    const abort = () => reject(new Interrupted("the attempt was cancelled"));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
  gone.catch(() => undefined);
  return gone;
}

/** Resolve as `work`; reject with `error` after `seconds`. */
export async function before<T>(seconds: number, work: Promise<T>, error: DcsendError): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
