/**
 * The timers are those of tests/vectors/timers.txt, which a Python test compares with PROTOCOL.md.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DIAL, GATHERING, RELAYING } from "../src/peers/browser.ts";
import { PATIENCE } from "../src/peers/trickle.ts";
import { KEEP_ALIVE_INTERVAL } from "../src/protocol/limits.ts";
import { FAREWELL } from "../src/session/conversation.ts";
import { HEAD_START } from "../src/session/either.ts";
import { BYE } from "../src/session/incoming.ts";
import { ANSWER } from "../src/session/joining.ts";
import {
  HELLO_SECONDS,
  LIMIT,
  PROGRESS_SECONDS,
  REPORT,
  WORKING_SECONDS,
} from "../src/session/liveness.ts";
import { HANG_UP } from "../src/session/outgoing.ts";

const TABLE = new URL("../../tests/vectors/timers.txt", import.meta.url);

const OURS = {
  dial: DIAL,
  hello: HELLO_SECONDS,
  progress: PROGRESS_SECONDS,
  "progress-of-frames": PROGRESS_SECONDS,
  "progress-of-acks": PROGRESS_SECONDS,
  bye: BYE,
  "gathering-page": GATHERING,
  "gathering-relay-page": RELAYING,
  working: WORKING_SECONDS,
  "keep-alive-interval": KEEP_ALIVE_INTERVAL,
  "silence-report": REPORT,
  "silence-limit": LIMIT,
  farewell: FAREWELL,
  "hang-up": HANG_UP,
  pair: PATIENCE,
  answer: ANSWER,
  "head-start": HEAD_START,
};

test("timers are those of the table", () => {
  const [, lines = ""] = readFileSync(TABLE, "utf-8").split("\n\n");
  const timers = lines
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" "))
    .filter((words) => words.slice(3).includes("page"))
    .map(([, name, seconds]) => [name, Number(seconds)]);
  expect(Object.fromEntries(timers)).toEqual(OURS);
});
