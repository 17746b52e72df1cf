/** What a page that sends shows about the part that stays at the receiver. */
import { expect, test } from "vitest";
import { describeRest, reloaded } from "../src/continuing.ts";
import { ConnectionFailed, Interrupted } from "../src/errors.ts";
import type { Connected, Progressed } from "../src/session/events.ts";
import { AGAIN, NONE } from "../src/strings.ts";
import { explain, NOWHERE } from "../src/wording.ts";

const TERMINAL: Connected = {
  ...{ type: "connected", path: "direct", family: "IPv4", address: "", peer: "dcsend/1" },
  ...{ name: "", isBrowser: false, rtt: null, role: "sender" },
};
const MOVES: Progressed = {
  ...{ type: "progress", bytes: 1, total: 9, rate: 0, eta: null, path: "a", done: 1, still: 0 },
  waits: "peer",
};

test("after a stop it is the same as after a reload", () => {
  const rest = describeRest(MOVES, TERMINAL);
  expect(rest).toContain("What has arrived there is not sent again.");
  expect(reloaded.unsent).toContain(rest);
  const now = { ...NOWHERE, connected: true, rest };
  expect(explain(new Interrupted("you stopped it"), now).advice).toEqual([NONE, rest]);
  const shown = { ...now, shown: true };
  expect(explain(new Interrupted("you stopped it"), shown).advice).toEqual([NONE]);
  expect(explain(new ConnectionFailed("lost"), now).advice.at(-1)).toBe(AGAIN);
});

test.each([
  ["nothing has arrived", { ...MOVES, bytes: 0 }, TERMINAL],
  ["it has not begun", null, TERMINAL],
  ["a page receives", MOVES, { ...TERMINAL, isBrowser: true }],
  ["this page receives", MOVES, { ...TERMINAL, role: "receiver" } as const],
])("nothing is promised if %s", (_, last, peer) => {
  expect(describeRest(last, peer)).toBe("");
});
