import { describe, expect, test } from "vitest";
import type { Entry, Kind } from "../src/entry.ts";
import {
  CodeExpired,
  ConnectionFailed,
  DcsendError,
  DestinationError,
  Interrupted,
  PeerRefused,
} from "../src/errors.ts";
import type { FileFinished, Finished, Progressed } from "../src/session/events.ts";
import { AGAIN, STILL, troubles } from "../src/strings.ts";
import * as wording from "../src/wording.ts";

const GAP = "\u00a0";

/** What a person reads; that spaces don't break has a test of its own. */
function plain(text: string): string {
  return text.replaceAll(GAP, " ");
}

function entry(path: string, size: number | null = 1, kind: Kind = "file"): Entry {
  return { path, kind, size, mode: 0o644, mtime: null, target: "", stored: null };
}

function file(given: Partial<FileFinished>): FileFinished {
  const none = { saved: "", sha256: "", reason: "", bytes: 1500 };
  return { type: "file", path: "a.txt", status: "ok", ...none, ...given };
}

function progress(given: Partial<Progressed>): Progressed {
  return { type: "progress", bytes: 0, total: 1000, rate: 0, eta: null, path: "a", ...given };
}

test("hidden names are said each once, those at the top first", () => {
  const paths = ["IMG_1.jpg", "a/b/.git/config", "a/b/.git/HEAD", ".ssh", ".ssh/authorized_keys"];
  paths.push("../x", "...", "a.b/c", ".zsh\x1benv");
  const entries = [...paths.map((path) => entry(path)), entry(".text", 1, "text")];
  expect(wording.hiddenNames(entries)).toBe("Hidden: .ssh, ..., .zsh\\x1benv, a/b/.git");
  expect(wording.hiddenNames([entry("a"), entry("..")])).toBe("");
});

test("of many hidden names five are said", () => {
  const many = [...Array(100).keys()].map((number) => entry(`d/.${number}`));
  const said = wording.hiddenNames([...many, entry(".profile")]);
  expect(said).toBe("Hidden: .profile, d/.0, d/.1, d/.2, d/.3 and 96 more");
});

describe("numbers", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [1_500, "1.5 kB"],
    [999_949, "999.9 kB"],
    [999_950, "1.0 MB"],
    [2_340_000_000, "2.3 GB"],
    [5e15, "5000.0 TB"],
    [null, "unknown size"],
  ])("%s bytes are %s", (count, said) => {
    expect(plain(wording.size(count))).toBe(said);
  });

  test.each([
    [0.42, "0.4 s"],
    [9.96, "10 s"],
    [59.7, "1 min 0 s"],
    [75, "1 min 15 s"],
    [3720, "1 h 2 min"],
    [86400 * 3 + 3600, "3 d 1 h"],
  ])("%s seconds are %s", (seconds, said) => {
    expect(plain(wording.duration(seconds))).toBe(said);
  });

  test.each([
    [0, "1 s"],
    [8.2, "9 s"],
    [59.2, "1 min 0 s"],
    [61, "1 min 5 s"],
    [700, "12 min"],
    [3590, "1 h 0 min"],
  ])("%s seconds left are %s", (seconds, said) => {
    expect(plain(wording.timeLeft(seconds))).toBe(said);
  });

  test("a number is not parted from its unit", () => {
    expect(wording.size(1500)).toBe(`1.5${GAP}kB`);
    expect(wording.grouped(1234567)).toBe(`1${GAP}234${GAP}567`);
  });

  test("one is not several", () => {
    expect(wording.counted(1, "file")).toBe("1 file");
    expect(wording.counted(0, "file")).toBe("0 files");
  });
});

describe("what is offered", () => {
  test("folders that files are in go without saying", () => {
    const entries = [entry("d", 0, "directory"), entry("d/a"), entry("d/b"), entry("t", 3, "text")];
    expect(wording.describeEntries(entries)).toBe("2 files, 1 text");
    expect(wording.describeEntries(entries.slice(0, 1))).toBe("1 folder");
    expect(wording.describeEntries([])).toBe("nothing");
  });

  test("a total with one unknown size is unknown", () => {
    expect(wording.total([entry("a", 2), entry("b", 3)])).toBe(5);
    expect(wording.total([entry("a", 2), entry("b", null)])).toBeNull();
  });

  test("a link is told by where it points, escaped", () => {
    expect(wording.measure({ ...entry("l", 0, "link"), target: "a\u202eb" })).toBe("→ a\\u202eb");
  });

  test("the tab has the name of what is alone at the top", () => {
    expect(wording.titleOf([entry("d", 0, "directory"), entry("d/a")])).toBe("d");
    expect(wording.titleOf([entry("d"), entry("dd")])).toBe("2 files");
    expect(wording.titleOf([entry("a\u202eb")])).toBe("a\\u202eb");
    expect(wording.titleOf([entry("text", 3, "text")])).toBe("1 text");
  });
});

describe("progress", () => {
  test("it is complete only when all of it is", () => {
    expect(wording.percent(progress({ bytes: 999 }))).toBe(99);
    expect(wording.percent(progress({ bytes: 1000 }))).toBe(100);
    expect(wording.percent(progress({ total: 0 }))).toBe(100);
    expect(wording.percent(progress({ total: null }))).toBeNull();
  });

  test("it tells share, amount, rate and time left", () => {
    const event = progress({ bytes: 250, rate: 50, eta: 15 });
    expect(plain(wording.describeProgress(event))).toBe(
      "25 % · 250 B of 1.0 kB · 50 B/s · 15 s left",
    );
  });

  test("without a total it tells what came", () => {
    const event = progress({ bytes: 2500, total: null, rate: 50 });
    expect(plain(wording.describeProgress(event))).toBe("2.5 kB · 50 B/s");
  });

  test("at the end it says what it waits for", () => {
    const event = progress({ bytes: 1000, rate: 50, eta: 0 });
    expect(plain(wording.describeProgress(event))).toBe(
      "100 % · 1.0 kB of 1.0 kB · checking and saving the last of it",
    );
  });
});

describe("verdicts", () => {
  test("another name than the sent one is told, escaped", () => {
    expect(plain(wording.describeFile(file({ saved: "a.txt" })))).toBe("1.5 kB, verified");
    expect(plain(wording.describeFile(file({ saved: "a\n.txt" })))).toBe(
      "1.5 kB, verified, saved as a\\n.txt",
    );
  });

  test("a reason that names the file names it once", () => {
    expect(wording.describeFile(file({ status: "failed", reason: "a.txt: it is gone" }))).toBe(
      "failed: it is gone",
    );
    expect(wording.describeFile(file({ status: "mismatch" }))).toBe("damaged, not kept");
  });

  test("the result counts what is good, files and texts apart", () => {
    const files = [file({}), file({ path: "t" }), file({ path: "b", status: "failed" })];
    const none = { exports: [], ok: false } as const;
    const done: Finished = { type: "done", bytes: 3000, seconds: 2, files, ...none };
    const said = wording.describeResult(done, new Set(["t"]));
    expect(plain(said)).toBe("1 file, 1 text, 3.0 kB in 2.0 s, 1.5 kB/s.");
  });

  test("a rate over no time is not told", () => {
    const done = {
      type: "done",
      ok: true,
      bytes: 3,
      seconds: 0.01,
      files: [],
      exports: [],
    } as const;
    expect(plain(wording.describeResult(done, new Set()))).toBe("Everything, 3 B in 0.0 s.");
  });

  test("the route leaves out what the browser doesn't tell", () => {
    const event = { type: "connected", peer: "x", role: "sender" } as const;
    const told = { path: "direct", family: "IPv4", address: "10.0.0.1:9", rtt: 0.0021 };
    const said = wording.describeRoute({ ...event, ...told });
    expect(plain(said)).toBe("direct over IPv4, 10.0.0.1:9, 2 ms there and back");
    const untold = { path: "relayed", family: "", address: "", rtt: null };
    expect(wording.describeRoute({ ...event, ...untold })).toBe("through a relay");
  });
});

describe("the name of a download", () => {
  test("it stays where it is short enough", () => {
    expect(wording.downloadName("a.txt")).toBe("a.txt");
  });

  test("it is cut before its extension, between characters", () => {
    const name = wording.downloadName(`${"文".repeat(84)}.gz`);
    expect(name).toBe(`${"文".repeat(79)}.gz`);
  });

  test("what is too long for an extension is cut, too", () => {
    expect(wording.downloadName(`a.${"b".repeat(300)}`)).toBe(`a.${"b".repeat(238)}`);
  });
});

describe("errors", () => {
  const fine = {
    ...{ connected: true, silent: false, declined: false },
    ...{ canRetry: false, online: true, slept: false },
  };
  const lost = new ConnectionFailed("the connection was lost");

  test.each([
    ["unreachable", { connected: false }],
    ["offline", { online: false, connected: false }],
    ["suspended", { slept: true, silent: true }],
    ["peer-gone", { silent: true }],
    ["connection", {}],
  ])("a lost connection may mean: %s", (kind, circumstances) => {
    expect(wording.explain(lost, { ...fine, ...circumstances }).kind).toBe(kind);
  });

  test("sleep and silence explain nothing but lost connections", () => {
    const full = new DestinationError("no room for a");
    const asleep = { ...fine, online: false, silent: true, slept: true };
    expect(wording.explain(full, asleep).kind).toBe("destination");
  });

  test("a no of the person here is told from one of the other side", () => {
    const error = new PeerRefused("the other side declined");
    expect(wording.explain(error, fine).kind).toBe("refused");
    expect(wording.explain(error, { ...fine, declined: true }).kind).toBe("declined");
  });

  test("what happened is said as a sentence", () => {
    expect(wording.explain(lost, fine).detail).toBe("The connection was lost.");
    expect(wording.explain(new Interrupted("you stopped it"), fine).detail).toBe("");
  });

  test("what the error knows to do comes before what its kind does", () => {
    const full = new DestinationError("no room for a", "make room");
    expect(wording.explain(full, fine).advice).toEqual(["Make room.", AGAIN]);
    const refused = new ConnectionFailed("it refused the code", "ask for a new one");
    expect(wording.explain(refused, { ...fine, connected: false }).advice).toEqual([
      "Ask for a new one.",
    ]);
  });

  test("every kind says what happened, and nearly all what to do", () => {
    for (const { title, advice } of Object.values(troubles)) {
      expect(title).toMatch(/^[A-Z].*[^.]$/);
      expect(advice.length).toBeGreaterThan(0);
      for (const line of advice) expect(line).toMatch(/^[A-Z].*[.?]$/);
    }
  });

  test("an expired code asks for a new one", () => {
    const { title, advice } = wording.explain(new CodeExpired("nobody answers"), fine);
    expect(title).toBe("The code has expired");
    expect(advice).toContain(AGAIN);
  });

  test.each([
    [lost, STILL],
    [new CodeExpired("nobody answers"), AGAIN],
  ])("a code that is not used up is to be tried again, unless it has expired", (error, last) => {
    const { advice } = wording.explain(error, { ...fine, canRetry: true, silent: true });
    expect(advice.at(-1)).toBe(last);
  });

  test("an error without words leaves its title", () => {
    expect(wording.explain(new DcsendError(""), fine).detail).toBe("");
  });
});
