/** Silence of the peer: the rows of the table in src/session/interruption.ts. */
import { expect, test } from "vitest";
import { type Sign, Silence } from "../src/session/interruption.ts";

test.each<[string, [number, number, Sign][]]>([
  [
    "nothing arrives",
    [
      [0.75, 0, "arriving"],
      [1, 0, "probe"],
      [1.75, 0, "probed"],
      [2, 0, "silent"],
      [4.75, 0, "silent"],
      [5, 0, "lost"],
    ],
  ],
  [
    "the probe is acknowledged",
    [
      [1, 0, "probe"],
      [1.5, 1, "arriving"],
      [2.25, 1, "arriving"],
      [2.5, 1, "probe"],
      [3.5, 1, "silent"],
    ],
  ],
  [
    "something arrives after a silence",
    [
      [1, 0, "probe"],
      [2, 0, "silent"],
      [2.25, 1, "arriving"],
    ],
  ],
  [
    "something arrives after a loss",
    [
      [6, 0, "lost"],
      [7, 1, "arriving"],
    ],
  ],
  [
    "the page was suspended for less than 5 s",
    [
      [4, 0, "probe"],
      [4.25, 0, "probed"],
      [5, 0, "lost"],
    ],
  ],
  [
    "the browser drops a part of its statistics",
    [
      [0.25, 900, "arriving"],
      [1.25, 20, "probe"],
      [1.5, 30, "arriving"],
    ],
  ],
])("%s", (_, looks) => {
  const silence = new Silence(0);
  for (const [now, count, sign] of looks)
    expect([now, silence.look(now, count)]).toEqual([now, sign]);
});
