/** Whether the page offers the same code again, for each reason of the end of a run. */
import { describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";
import { failure } from "../src/peers/reasons.ts";
import { meet } from "../src/session/meeting.ts";
import { peerCancelled, peerDeclined } from "../src/session/outcome.ts";
import { AGAIN, KEPT, STILL, troubles } from "../src/strings.ts";
import { type Circumstances, explain } from "../src/wording.ts";

/** For each kind of error: whether the code may work again, unless it was used up. */
const TABLE: Readonly<Record<keyof typeof troubles, boolean>> = {
  // The code was probably not used.
  unreachable: true,
  offline: true,
  "was-offline": true,
  connection: true,
  suspended: true,
  "peer-gone": true,
  interrupted: true,
  // The files could not be saved, here or there, before acceptance: the listener accepts the code
  // again.
  "cannot-save": true,
  destination: true,
  // The code is the problem.
  code: false,
  "code-expired": false,
  "code-used": false,
  authentication: false,
  version: false,
  // The other side has ended its run.
  refused: false,
  timeout: false,
  // A person has answered, or a transfer had begun: the code is used up.
  declined: false,
  source: false,
  integrity: false,
  partly: false,
  // Another attempt would end in the same way.
  unsupported: false,
  framed: false,
  protocol: false,
  usage: false,
  bug: false,
  unexpected: false,
};

const UNUSED: Circumstances = {
  ...{ connected: true, silent: false, declined: false, some: false, rest: "" },
  ...{ canRetry: true, online: true, isOnline: true, slept: false, shown: false },
};

const FACTS = {
  ...({ role: "dialer", ice: "disconnected" } as const),
  ...{ theirs: [{ host: "192.168.1.7", port: 4 }], own: "", asked: false },
  ...{ server: "", early: true },
} as const;

test("the table is that of the page", () => {
  expect(Object.fromEntries(Object.entries(troubles).map(([k, { again }]) => [k, again]))).toEqual(
    TABLE,
  );
});

test.each<[string, errors.DcsendError, Partial<Circumstances>]>([
  [
    "unreachable",
    failure({ ...FACTS, ice: "failed" as const, early: false }),
    { connected: false },
  ],
  ["code-used", failure(FACTS), { connected: false }],
  ["code-expired", new errors.CodeExpired("no answer"), { connected: false }],
  ["code", new errors.MalformedCode("it is too short"), { connected: false }],
  ["offline", new errors.ConnectionFailed("it was lost"), { online: false, isOnline: false }],
  ["was-offline", new errors.ConnectionFailed("it was lost"), { online: false }],
  ["connection", new errors.ConnectionFailed("it was lost"), {}],
  ["suspended", new errors.ConnectionFailed("it was lost"), { slept: true }],
  ["peer-gone", new errors.ConnectionFailed("it was lost"), { silent: true }],
  ["interrupted", new errors.Interrupted("you stopped it"), {}],
  ["refused", peerCancelled("interrupted", ""), {}],
  ["refused", peerDeclined("declined", ""), {}],
  ["cannot-save", peerDeclined("destination", "a exists in the folder already"), {}],
  ["timeout", peerCancelled("timeout", "nothing was accepted"), { connected: true }],
  ["declined", peerDeclined("declined", ""), { declined: true }],
  ["version", peerCancelled("version", ""), {}],
  ["integrity", peerCancelled("integrity", ""), {}],
  ["destination", new errors.DestinationError("no room"), {}],
  ["source", new errors.SourceError("it is gone"), {}],
  ["protocol", new errors.RemoteProtocolError("no hello"), {}],
])("%s: %s", (kind, error, circumstances) => {
  const unused = explain(error, { ...UNUSED, ...circumstances });
  expect([unused.kind, unused.again]).toEqual([kind, TABLE[kind as keyof typeof TABLE]]);
  if (!unused.again) expect(unused.advice).not.toContain(STILL);
  else expect(unused.advice).not.toContain(AGAIN);
  const used = explain(error, { ...UNUSED, ...circumstances, canRetry: false });
  expect(used.again).toBe(false);
  expect(used.advice).not.toContain(STILL);
});

test("a code that is refused after its time has expired", async () => {
  const connect = () => Promise.reject(failure(FACTS));
  const meeting = meet({ connect, expires: 5, wallClock: () => 6 }, new AbortController().signal);
  await expect(meeting).rejects.toBeInstanceOf(errors.CodeExpired);
  const early = meet({ connect, expires: 7, wallClock: () => 6 }, new AbortController().signal);
  await expect(early).rejects.toBeInstanceOf(errors.CodeUsed);
});

describe("a page that has shown the code", () => {
  const shown = { ...UNUSED, shown: true };

  test.each([
    new errors.CodeExpired("no device connected with the code within an hour"),
    new errors.ConnectionFailed("the server can't be reached", "check the network"),
    new errors.PeerRefused("the other side has ended the transfer"),
  ])("offers another one after: %s", (error) => {
    const { again, retry, advice } = explain(error, shown);
    expect([again, retry]).toEqual([true, "Show a new code"]);
    for (const line of advice) expect(line).not.toMatch(/start dcsend again|still works/i);
  });

  test("does not send the user to the other side for a code when that has left", () => {
    const left = peerCancelled("interrupted", "");
    const { detail, advice, retry } = explain(left, shown);
    expect(detail).toBe("The other side cancelled.");
    expect(advice).toEqual(["Ask the person there."]);
    expect(retry).toBe("Show a new code");
    expect(explain(left, { ...UNUSED, canRetry: false }).advice).toContain(AGAIN);
  });

  test("keeps what it has received", () => {
    const { advice } = explain(new errors.Interrupted("you stopped it"), { ...shown, some: true });
    expect(advice).toEqual([KEPT]);
  });
});
