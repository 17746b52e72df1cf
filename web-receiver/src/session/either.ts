/**
 * A link with both codes: dials, and joins by the short code beside that. As
 * `dcsend/session/either.py`, except that the first message of the other side decides which
 * connection is used: the listener keeps one of them, and a page does not dial again.
 *
 *     dial ─────────────────────────────────┬─► connected ─► first message ─► the join is ended
 *       └ 1.5 s without a connection ─► join ┴─► connected ─► first message ─► the dial is ended
 */
import { CodeExpired, CodeUsed, ConnectionFailed, Interrupted } from "../errors.ts";
import type { Connection } from "../peers/contract.ts";
import { within } from "./waiting.ts";

/** Seconds until the short code is used; a dial within one network takes 0.1 s to 1 s. */
export const HEAD_START = 1.5;
/** Seconds for the first message, after which the connection is used in any case. */
const FIRST = 5;

/** Connects, until the signal aborts. */
export type Connect = (signal: AbortSignal) => Promise<Connection>;

/**
 * Connect by whichever way is first, until `signal` aborts; the other one is ended.
 *
 * Rejects at once with CodeUsed or CodeExpired of `dial`; otherwise when both have failed, with the
 * error of `join`, which has the message of the other one, too.
 */
export async function either(dial: Connect, join: Connect, signal: AbortSignal) {
  let winner: AbortController | null = null;
  const stops = [new AbortController(), new AbortController()] as const;
  const abort = () => {
    for (const stop of stops) if (stop !== winner) stop.abort();
  };
  signal.addEventListener("abort", abort);
  const attempt = async (connect: Connect, stop: AbortController): Promise<Connection> => {
    if (winner !== null || stop.signal.aborted) throw new Interrupted("the attempt was cancelled");
    const connection = await connect(stop.signal);
    const close = () => connection.close();
    stop.signal.addEventListener("abort", close);
    if (stop.signal.aborted) close();
    let lost: unknown = null;
    const arrived = connection.channels.control.arrived().catch((error) => {
      lost = error;
    });
    await within(FIRST, arrived);
    if (lost !== null) throw lost;
    if (winner !== null) throw new Interrupted("the other attempt has connected");
    winner = stop;
    return connection;
  };
  const dialing = attempt(dial, stops[0]);
  const joining = within(HEAD_START, dialing)
    .then(() => attempt(join, stops[1]))
    .catch((error) => dialing.catch((direct) => Promise.reject(both(error, direct))));
  const first = dialing.catch((error) => {
    if (!(error instanceof CodeUsed || error instanceof CodeExpired)) return joining;
    abort();
    throw error;
  });
  try {
    return await Promise.race([first, joining]);
  } finally {
    signal.removeEventListener("abort", abort);
    abort();
  }
}

function both(error: unknown, direct: unknown): unknown {
  if (!(error instanceof ConnectionFailed && direct instanceof ConnectionFailed)) return error;
  return new ConnectionFailed(`${error.message}; directly: ${direct.message}`, error.hint);
}
