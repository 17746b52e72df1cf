/** From verdicts to the error that sums them up, and from cancel reasons to errors, as tables. */
import { expect, test } from "vitest";
import * as errors from "../src/errors.ts";
import { CANCEL_REASONS } from "../src/protocol/messages.ts";
import type { Event, FileFinished } from "../src/session/events.ts";
import {
  asError,
  cancelReason,
  declineReason,
  type Fault,
  failure,
  peerCancelled,
  peerDeclined,
  suspended,
  Tally,
} from "../src/session/outcome.ts";

const verdict = (path: string, fault: Fault | null, reason = "why"): FileFinished => ({
  type: "file",
  path,
  status: fault === null ? "ok" : "failed",
  bytes: 1,
  saved: "",
  sha256: "",
  reason,
});

function tally(...faults: (Fault | null)[]): Tally {
  const made = new Tally(() => undefined);
  for (const [number, fault] of faults.entries()) made.report(verdict(`f${number}`, fault), fault);
  return made;
}

test.each([
  [[], undefined],
  [[null, null], undefined],
  [["source"], "source"],
  [["destination", "destination"], "destination"],
  [[null, "source"], "partly"],
  [["source", "destination"], "partly"],
  [["integrity"], "integrity"],
  [[null, "integrity"], "integrity"],
  [["source", "integrity", null], "integrity"],
] as const)("%j is summed up as %s", (faults, kind) => {
  expect(failure(tally(...faults))?.kind).toBe(kind);
});

test("a partial failure says how many and names one", () => {
  expect(failure(tally(null, "source", null))?.message).toBe("1 of 3 did not make it; f1: why");
});

test("a reason that names the file names it once", () => {
  const made = new Tally(() => undefined);
  made.report(verdict("f", "destination", "f: permission denied"), "destination");
  expect(failure(made)?.message).toBe("f: permission denied");
});

test("nothing is told after the end", () => {
  const events: Event[] = [];
  const made = new Tally((event) => events.push(event));
  made.seal();
  made.report(verdict("f", "source"), "source");
  made.emit({ type: "manifest", entries: [] });
  expect([events, made.files, made.bad]).toEqual([[], [], []]);
});

test.each([
  [new errors.RemoteProtocolError("x"), "protocol"],
  [new errors.IncompatibleVersion("x"), "version"],
  [new errors.IntegrityError("x"), "integrity"],
  [new errors.DestinationError("x"), "destination"],
  [new errors.SourceError("x"), "source"],
  [new errors.ConnectionFailed("x"), "timeout"],
  [new errors.LocalProtocolError("x"), "error"],
  [new errors.Interrupted("x"), "interrupted"],
  [new errors.DcsendError("x"), "error"],
] as const)("%s has a reason that the protocol knows", (error, reason) => {
  expect(cancelReason(error)).toBe(reason);
  expect(CANCEL_REASONS).toContain(reason);
});

test.each([
  [new errors.PeerRefused("x"), "declined"],
  [new errors.DestinationError("x"), "destination"],
  [new errors.DcsendError("x"), "error"],
] as const)("%s is declined with a reason that the protocol knows", (error, reason) => {
  expect(declineReason(error)).toBe(reason);
});

test.each([
  ["interrupted", errors.PeerRefused],
  ["destination", errors.PeerRefused],
  ["integrity", errors.IntegrityError],
  ["version", errors.IncompatibleVersion],
  ["timeout", errors.ConnectionFailed],
] as const)("what the peer cancels for decides what it is called: %s", (reason, kind) => {
  expect(peerCancelled(reason, "disk full").constructor).toBe(kind);
  expect(peerCancelled(reason, "").message).not.toBe("");
});

test("a peer's words are escaped", () => {
  const words = "\u001b[2Jboo";
  for (const reason of CANCEL_REASONS) {
    expect(peerCancelled(reason, words).message).not.toContain("\u001b");
  }
  expect(peerDeclined("destination", words).message).not.toContain("\u001b");
});

test("whatever was thrown becomes an error with its cause", () => {
  const known = new errors.Interrupted("x");
  expect(asError(known)).toBe(known);
  expect(asError("oh\u202e")).toMatchObject({
    message: "unexpected: oh\\u202e",
    cause: "oh\u202e",
  });
});

test("only a lost connection is explained by a sleep", () => {
  const declined = new errors.PeerRefused("no");
  expect(suspended(declined)).toBe(declined);
  const lost = suspended(new errors.ConnectionFailed("it was lost"));
  expect(lost.message).toBe("the browser had suspended this page, and then it was lost");
});
