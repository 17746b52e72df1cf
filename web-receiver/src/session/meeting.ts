/** Dial a code, and wait for the peer's first message. As `dcsend/session/meeting.py`. */

import { CodeExpired, ConnectionFailed } from "../errors.ts";
import type { Connection } from "../peers/contract.ts";
import { HELLO_SECONDS } from "./liveness.ts";
import type { RunOptions } from "./options.ts";
import { asError } from "./outcome.ts";

/** Dial, until `signal` aborts. Rejects with CodeExpired, CodeUsed or ConnectionFailed. */
export async function meet(
  { connect, expires, wallClock }: Pick<RunOptions, "connect" | "expires" | "wallClock">,
  signal: AbortSignal,
): Promise<Connection> {
  try {
    return await connect(signal);
  } catch (thrown) {
    const error = asError(thrown);
    if (error.kind !== "connection" && error.kind !== "code-used") throw error;
    // Clocks differ between devices, so the time in the code only explains a failure.
    if (expires < wallClock()) {
      const answer = error.kind === "code-used" ? "the other side refuses it" : "no answer";
      throw new CodeExpired(`${answer}, and the code has expired`);
    }
    if (error.hint !== "") throw error;
    throw new ConnectionFailed(
      error.message,
      "is dcsend still running there, is its code unused, and are both in the same network?",
    );
  }
}

/** Wait for the peer's first message. Rejects with ConnectionFailed. */
export function firstMessage(connection: Connection): Promise<Uint8Array | string> {
  return new Promise((resolve, reject) => {
    const silent = new ConnectionFailed(
      `connected, but the other side did not introduce itself within ${HELLO_SECONDS} s`,
      "start it again there and use the new code",
    );
    const timer = setTimeout(() => reject(silent), HELLO_SECONDS * 1000);
    connection.channels.control
      .receive()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
