/**
 * The timers are those of tests/vectors/timers.txt, which a Python test compares with PROTOCOL.md.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DIAL, GATHERING, RELAYING } from "../src/peers/browser.ts";
import { LONGEST, PATIENCE } from "../src/peers/trickle.ts";
import { KEEP_ALIVE_INTERVAL } from "../src/protocol/limits.ts";
import { FIRST_PAUSE, LONGEST_PAUSE, TIMEOUT } from "../src/rendezvous/client.ts";
import { WELCOME } from "../src/rendezvous/websocket.ts";
import { FAREWELL } from "../src/session/conversation.ts";
import { HEAD_START } from "../src/session/either.ts";
import { BYE } from "../src/session/incoming.ts";
import {
  ANSWERING,
  EAGER,
  LOST,
  OFTEN,
  PROBE,
  ANSWER as PROBED,
  LIMIT as RECONNECT,
  SELDOM,
} from "../src/session/interruption.ts";
import { ANSWER } from "../src/session/joining.ts";
import { TAKE_OVER } from "../src/session/lasting.ts";
import {
  HELLO_SECONDS,
  LIMIT,
  PROGRESS_SECONDS,
  REPORT,
  WORKING_SECONDS,
} from "../src/session/liveness.ts";
import { ATTEMPT } from "../src/session/meeting_again.ts";
import { HANG_UP } from "../src/session/outgoing.ts";
import { SLOW } from "../src/session/short_codes.ts";

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
  attempt: LONGEST,
  "head-start": HEAD_START,
  doubt: PROBE + PROBED,
  interruption: LOST,
  reconnect: RECONNECT,
  attempts: OFTEN,
  "attempts-often": EAGER,
  "attempts-later": SELDOM,
  resume: TAKE_OVER,
  "accept-unanswered": ANSWERING,
  "pair-again-page": ATTEMPT,
  welcome: WELCOME,
  mailbox: TIMEOUT,
  "first-pause": FIRST_PAUSE,
  "longest-pause": LONGEST_PAUSE,
  "next-code": SLOW,
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
