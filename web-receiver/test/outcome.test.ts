/** From verdicts to the error that sums them up, and from cancel reasons to errors, as tables. */
import { expect, test } from "vitest";
import { NOTHING_LEFT_OUT } from "../src/entry.ts";
import * as errors from "../src/errors.ts";
import { CANCEL_REASONS, DECLINE_REASONS } from "../src/protocol/messages.ts";
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

test("the message of a partial failure has the number and one name", () => {
  expect(failure(tally(null, "source", null))?.message).toBe("1 of 3 failed; f1: why");
});

test.each([
  [[null, "destination"], 1506, 0, "partly", "1 of 1506 failed; f1: why"],
  [["destination"], 2, 0, "partly", "1 of 2 failed; f0: why"],
  [[null, null], 3, 1, "partly", "1 of 3 failed; the sender can't read it, or can't send its name"],
  [[null], 3, 2, "partly", "2 of 3 failed; the sender can't read them, or can't send their names"],
  [[null, "destination"], 3, 1, "partly", "2 of 3 failed; f1: why"],
  [[], 1, 1, "source", "the sender can't read it, or can't send its name"],
  [["integrity"], 3, 1, "integrity", "2 of 3 failed; f0: why"],
] as const)("%j of %i, %i of them unread, is %s", (faults, offered, unheard, kind, words) => {
  const made = tally(...faults);
  made.offered = offered;
  made.unheard = unheard;
  expect([failure(made)?.kind, failure(made)?.message]).toEqual([kind, words]);
});

test("links are offered, and folders only if they fail", () => {
  const made = new Tally(() => undefined);
  const base = { size: 0, mode: 0, mtime: null, target: "", stored: null } as const;
  const entries = [
    { ...base, path: "d", kind: "directory" },
    { ...base, path: "d/f", kind: "file" },
    { ...base, path: "d/l", kind: "link", target: "f" },
  ] as const;
  made.expect({ type: "manifest", entries, leftOut: NOTHING_LEFT_OUT }, 2);
  expect(made.offered).toBe(4);
  made.report(verdict("d", "destination"), "destination", "directory");
  expect(made.offered).toBe(5);
});

test("a reason that names the file names it once", () => {
  const made = new Tally(() => undefined);
  made.report(verdict("f", "destination", "f: permission denied"), "destination");
  expect(failure(made)?.message).toBe("it failed: f: permission denied");
});

test("nothing is emitted after the end", () => {
  const events: Event[] = [];
  const made = new Tally((event) => events.push(event));
  made.seal();
  made.report(verdict("f", "source"), "source");
  made.emit({ type: "manifest", entries: [], leftOut: NOTHING_LEFT_OUT });
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
] as const)("%s has a reason of the protocol", (error, reason) => {
  expect(cancelReason(error)).toBe(reason);
  expect(CANCEL_REASONS).toContain(reason);
});

test.each([
  [new errors.PeerRefused("x"), "declined"],
  [new errors.DestinationError("x"), "destination"],
  [new errors.DcsendError("x"), "error"],
] as const)("%s is declined with a reason of the protocol", (error, reason) => {
  expect(declineReason(error)).toBe(reason);
});

test.each([
  ["interrupted", errors.PeerRefused],
  ["destination", errors.PeerRefused],
  ["integrity", errors.IntegrityError],
  ["version", errors.IncompatibleVersion],
  ["timeout", errors.PeerGaveUp],
] as const)("what the peer cancels for decides what it is called: %s", (reason, kind) => {
  expect(peerCancelled(reason, "disk full").constructor).toBe(kind);
  expect(peerCancelled(reason, "").message).not.toBe("");
});

test("no message begins with a name or with a peer's text, which would be capitalised", () => {
  const given = "photos/aux.h: the disk is full";
  const messages = [
    ...CANCEL_REASONS.map((reason) => peerCancelled(reason, given).message),
    ...DECLINE_REASONS.map((reason) => peerDeclined(reason, given).message),
    failure(tally("source"))?.message,
    failure(tally("source", null))?.message,
  ];
  for (const message of messages) expect(message).not.toMatch(/^(photos|f0)/);
});

test("a peer's text is escaped", () => {
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
  const givenUp = suspended(peerCancelled("timeout", "silence"));
  expect(givenUp.message).toMatch(
    /^the browser had suspended this page, and then the other side stopped/,
  );
});

test.each<[string, string[], number]>([
  ["a.jpg exists in the folder already", ["a.jpg"], 0],
  ["a.jpg, d/b, c.jpg exist in inbox already", ["a.jpg", "d/b, c.jpg"], 0],
  ["a.jpg, \\u202e.jpg, e and 17 more exist in the folder already", ["a.jpg", "\u202e.jpg"], 17],
  // A part of a name is no other file, and a name may contain the separator of names.
  ["Smith, Anna.pdf exists in inbox already", ["Smith, Anna.pdf"], 0],
  ["b, Smith, Anna.pdf exist in inbox already", ["b", "Smith, Anna.pdf"], 0],
  ["b, jpg exist in inbox already", ["b", "jpg"], 0],
  ["no room: 5 MB are needed", [], 0],
  ["a.jpg exists", [], 0],
])("%j names %j of what is offered, and %i more", (message, existing, unnamed) => {
  const paths = ["a.jpg", "d/b, c.jpg", "b", "jpg", "\u202e.jpg", "no room", "b, jpg"];
  paths.push("Anna.pdf", "Smith, Anna.pdf");
  expect(peerDeclined("destination", message, paths)).toMatchObject({ existing, unnamed });
});

test("a receiver that can't save a file is distinguished from a person who declines", () => {
  expect(peerDeclined("destination", "no room").constructor).toBe(errors.PeerCannotSave);
  expect(peerDeclined("declined", "").constructor).toBe(errors.PeerRefused);
});
