import { describe, expect, test } from "vitest";
import { type Entry, type Kind, NOTHING_LEFT_OUT } from "../src/entry.ts";
import {
  CodeExpired,
  ConnectionFailed,
  DcsendError,
  DestinationError,
  Interrupted,
  PeerCannotSave,
  PeerRefused,
} from "../src/errors.ts";
import type { FileFinished, Finished, Progressed } from "../src/session/events.ts";
import { AGAIN, KEPT, manyExist, NONE, STILL, someExist, troubles } from "../src/strings.ts";
import * as wording from "../src/wording.ts";

const GAP = "\u00a0";

/** The texts for a person; another test covers the non-breaking spaces. */
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
  const none = { bytes: 0, total: 1000, rate: 0, eta: null, path: "a", done: 0, still: 0 };
  return { type: "progress", ...none, waits: "peer", ...given };
}

test("hidden names are listed once each, those at the top first", () => {
  const paths = ["IMG_1.jpg", "a/b/.git/config", "a/b/.git/HEAD", ".ssh", ".ssh/authorized_keys"];
  paths.push("../x", "...", "a.b/c", ".zsh\x1benv");
  const entries = [...paths.map((path) => entry(path)), entry(".text", 1, "text")];
  expect(wording.hiddenNames(entries)).toBe(
    "Hidden, perhaps settings of programs: .ssh, ..., .zsh\\x1benv, a/b/.git",
  );
  expect(wording.hiddenNames([entry("a"), entry("..")])).toBe("");
});

test("what the sender left out is counted by kind", () => {
  const shown = wording.describeLeftOut({ links: 1504, others: 1, unreadable: 2 });
  expect(plain(shown)).toBe(
    "Not sent: 1 504 symbolic links, 1 special file, 2 unreadable or with an unusable name.",
  );
  expect(wording.describeLeftOut({ links: 0, others: 0, unreadable: 0 })).toBe("");
});

test("of many hidden names five are listed", () => {
  const many = [...Array(100).keys()].map((number) => entry(`d/.${number}`));
  const shown = wording.hiddenNames([...many, entry(".profile")]);
  expect(shown).toBe(
    "Hidden, perhaps settings of programs: .profile, d/.0, d/.1, d/.2, d/.3 and 96 more",
  );
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
  ])("%s bytes are %s", (count, shown) => {
    expect(plain(wording.size(count))).toBe(shown);
  });

  test.each([
    [0.42, "0.4 s"],
    [9.96, "10 s"],
    [59.7, "1 min 0 s"],
    [75, "1 min 15 s"],
    [3720, "1 h 2 min"],
    [86400 * 3 + 3600, "3 d 1 h"],
  ])("%s seconds are %s", (seconds, shown) => {
    expect(plain(wording.duration(seconds))).toBe(shown);
  });

  test.each([
    [0, "1 s"],
    [8.2, "9 s"],
    [59.2, "1 min 0 s"],
    [61, "1 min 5 s"],
    [700, "12 min"],
    [3590, "1 h 0 min"],
  ])("%s seconds left are %s", (seconds, shown) => {
    expect(plain(wording.timeLeft(seconds))).toBe(shown);
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

  test("a link is described by its target, escaped", () => {
    expect(wording.measure({ ...entry("l", 0, "link"), target: "a\u202eb" })).toBe("→ a\\u202eb");
  });

  test("the tab has the name of what is alone at the top", () => {
    expect(wording.titleOf([entry("d", 0, "directory"), entry("d/a")])).toBe("d");
    expect(wording.titleOf([entry("d"), entry("dd")])).toBe("2 files");
    expect(wording.titleOf([entry("a\u202eb")])).toBe("a\\u202eb");
    expect(wording.titleOf([entry("text", 3, "text")])).toBe("1 text");
  });
});

describe("the heading of an offer", () => {
  const twenty = Array.from({ length: 20 }, (_, n) => entry(`f${n}`, 2_000_000));
  const more = [entry("d", 0, "directory"), ...twenty, entry("t", 3, "text")];

  test("it has the number and the size of what is wanted", () => {
    expect(plain(wording.offerTitle(twenty, twenty))).toBe("Accept 20 files, 40.0 MB?");
    expect(plain(wording.offerTitle(twenty.slice(0, 1), twenty))).toBe(
      "Accept 1 of 20 files, 2.0 MB?",
    );
    expect(plain(wording.offerTitle(more.slice(0, 3), more))).toBe("Accept 2 of 20 files, 4.0 MB?");
    expect(plain(wording.offerTitle(more.slice(20), more))).toBe(
      "Accept 1 of 20 files, 1 text, 2.0 MB?",
    );
    expect(wording.offerTitle([], twenty)).toBe("Accept none of 20 files?");
    expect(plain(wording.offerTitle([entry("-", null)], [entry("-", null)]))).toBe(
      "Accept 1 file, unknown size?",
    );
  });
});

describe("what is connected", () => {
  test.each([
    ["anna's laptop", false, "anna's laptop"],
    ["a\u202eb", false, "a\\u202eb"],
    ["", false, "a computer"],
    ["", true, "a browser"],
  ])("named %j, a browser: %s", (name, isBrowser, shown) => {
    expect(wording.describePeer({ name, isBrowser })).toBe(shown);
  });
});

describe("progress", () => {
  test("it is complete only when all of it is", () => {
    expect(wording.percent(progress({ bytes: 999 }))).toBe(99);
    expect(wording.percent(progress({ bytes: 1000 }))).toBe(100);
    expect(wording.percent(progress({ total: 0 }))).toBe(100);
    expect(wording.percent(progress({ total: null }))).toBeNull();
  });

  test("it has share, amount, rate and time left", () => {
    const event = progress({ bytes: 250, rate: 50, eta: 15 });
    expect(plain(wording.describeProgress(event, "receiver"))).toBe(
      "25 % · 250 B of 1.0 kB · 50 B/s · 15 s left",
    );
  });

  test("without a total it has what arrived", () => {
    const event = progress({ bytes: 2500, total: null, rate: 50 });
    expect(plain(wording.describeProgress(event, "receiver"))).toBe("2.5 kB · 50 B/s");
  });

  test("at the end it names what it waits for", () => {
    const event = progress({ bytes: 1000, rate: 50, eta: 0 });
    expect(plain(wording.describeProgress(event, "receiver"))).toBe(
      "100 % · 1.0 kB of 1.0 kB · verifying and saving the rest",
    );
  });

  test.each([
    ["peer", "receiver", "nothing has arrived for 12 s"],
    ["peer", "sender", "the other side has confirmed nothing for 12 s"],
    ["disk", "receiver", "this device has been saving for 12 s"],
    ["disk", "sender", "this device has been reading for 12 s"],
  ] as const)("one that waits for the %s has a note at the %s", (waits, role, shown) => {
    // Rate and time left are the earlier ones.
    const stuck = progress({ bytes: 250, rate: 50, eta: 15, still: 12.9, waits });
    expect(plain(wording.describeProgress(stuck, role))).toBe(`25 % · 250 B of 1.0 kB · ${shown}`);
    expect(wording.describeProgress({ ...stuck, still: 2.9 }, role)).not.toContain("for");
    const done = { ...stuck, bytes: 1000 };
    expect(wording.describeProgress(done, role)).toContain("verifying and saving");
  });
});

describe("verdicts", () => {
  const ended: Finished = {
    ...{ type: "done", ok: false, bytes: 0, seconds: 2 },
    ...{ files: [], leftOut: NOTHING_LEFT_OUT, exports: [] },
  };

  test("another name than the sent one is shown, escaped", () => {
    expect(plain(wording.describeFile(file({ saved: "a.txt" })))).toBe("1.5 kB, verified");
    expect(plain(wording.describeFile(file({ saved: "a\n.txt" })))).toBe(
      "1.5 kB, verified, as a\\n.txt",
    );
  });

  test("a file in a zip or a folder has that after it", () => {
    const saved = file({ saved: "dcsend.zip/a.txt" });
    expect(plain(wording.describeFile(saved))).toBe("1.5 kB, verified, in dcsend.zip");
  });

  test("a reason that names the file names it once", () => {
    expect(wording.describeFile(file({ status: "failed", reason: "a.txt: it is gone" }))).toBe(
      "failed: it is gone",
    );
    expect(wording.describeFile(file({ status: "mismatch" }))).toBe("damaged, not kept");
  });

  test("the result counts what is good, files and texts apart", () => {
    const files = [file({}), file({ path: "t" })];
    const done: Finished = { ...ended, ok: true, bytes: 3000, files };
    const shown = wording.describeResult(done, new Set(["t"]));
    expect(plain(shown)).toBe("1 file, 1 text, 3.0 kB in 2.0 s, 1.5 kB/s.");
  });

  test("bytes of incomplete files do not count, and there is no rate of the others alone", () => {
    const files = [file({}), file({ path: "b", status: "failed" })];
    const shown = wording.describeResult({ ...ended, bytes: 116_000_000, files }, new Set());
    expect(plain(shown)).toBe("1 file, 1.5 kB in 2.0 s.");
  });

  test("the files that a transfer has not completed follow, with how far it came", () => {
    const entries = [entry("d", 0, "directory"), entry("d/a"), entry("d/b", 5000), entry("d/c")];
    const last = progress({ path: "d/b", done: 2000 });
    const files = [file({ path: "d/a" })];
    const all = wording.allFiles({ ...ended, files }, [...entries, entry("t", 3, "text")], last);
    expect(all.map((one) => [one.path, plain(wording.describeFile(one))])).toEqual([
      ["d/a", "1.5 kB, verified"],
      ["d/b", "not verified: stopped at 2.0 kB of 5.0 kB"],
      ["d/c", "not verified"],
      ["t", "not verified"],
    ]);
  });

  test("a file whose bytes were all written has not stopped in the middle", () => {
    const last = progress({ path: "a", done: 5000 });
    const [only] = wording.allFiles(ended, [entry("a", 5000)], last);
    expect(only && wording.describeFile(only)).toBe("not verified");
  });

  test("before a transfer has begun, no file is incomplete", () => {
    expect(wording.allFiles(ended, [entry("a")], null)).toEqual([]);
  });

  test("a rate over no time is not shown", () => {
    const done = {
      type: "done",
      ok: true,
      bytes: 3,
      seconds: 0.01,
      files: [],
      leftOut: NOTHING_LEFT_OUT,
      exports: [],
    } as const;
    expect(plain(wording.describeResult(done, new Set()))).toBe("Everything, 3 B in 0.0 s.");
  });

  test("the route leaves out what the browser doesn't report", () => {
    const event = {
      type: "connected",
      peer: "x",
      name: "",
      isBrowser: false,
      role: "sender",
    } as const;
    const route = { path: "direct", family: "IPv4", address: "10.0.0.1:9", rtt: 0.0021 };
    const shown = wording.describeRoute({ ...event, ...route });
    expect(plain(shown)).toBe("direct over IPv4, 10.0.0.1:9, 2 ms round trip");
    const unknown = { path: "relayed", family: "", address: "", rtt: null };
    expect(wording.describeRoute({ ...event, ...unknown })).toBe("through a relay");
  });
});

describe("what can't be sent", () => {
  const problem = (path: string) => ({ path, reason: "the name is a device on Windows" });

  test("the path keeps its small letter", () => {
    expect(wording.describeProblems([problem("photos/aux.h")])).toBe(
      "Can't be sent: photos/aux.h: the name is a device on Windows.",
    );
  });

  test("the first is named, escaped, and the others are counted", () => {
    expect(wording.describeProblems([problem("a\u202eb"), problem("c"), problem("d")])).toBe(
      "Can't be sent: a\\u202eb: the name is a device on Windows. And 2 more.",
    );
    expect(wording.describeProblems([])).toBe("");
  });

  test("a thing without a name is described, too", () => {
    expect(wording.describeProblems([{ path: "", reason: "NotFoundError" }])).toBe(
      "Can't be sent: NotFoundError.",
    );
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
    ...{ connected: true, silent: false, declined: false, some: false, rest: "" },
    ...{ canRetry: false, online: true, isOnline: true, slept: false, shown: false },
  };
  const lost = new ConnectionFailed("the connection was lost");

  test.each([
    ["unreachable", { connected: false }],
    ["offline", { online: false, isOnline: false, connected: false }],
    ["was-offline", { online: false, connected: false }],
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

  test("a refusal here is distinguished from one of the other side", () => {
    const error = new PeerRefused("the other side declined");
    expect(wording.explain(error, fine).kind).toBe("refused");
    expect(wording.explain(error, { ...fine, declined: true }).kind).toBe("declined");
  });

  test("what happened is shown as a sentence", () => {
    expect(wording.explain(lost, fine).detail).toBe("The connection was lost.");
    expect(wording.explain(new Interrupted("you stopped it"), fine).detail).toBe("");
  });

  test("the hint of an error comes before the advice of its kind", () => {
    const full = new DestinationError("no room for a", "make room");
    expect(wording.explain(full, fine).advice).toEqual(["Make room.", AGAIN]);
    const refused = new ConnectionFailed("it refused the code", "ask for a new one");
    expect(wording.explain(refused, { ...fine, connected: false }).advice).toEqual([
      "Ask for a new one.",
    ]);
  });

  test("every kind has a title, and nearly all have advice", () => {
    for (const { title, advice } of [...Object.values(troubles), someExist, manyExist]) {
      expect(title).toMatch(/^[A-Z].*[^.]$/);
      expect(advice.length).toBeGreaterThan(0);
      for (const line of advice) expect(line).toMatch(/^[A-Z].*[.?]$/);
    }
  });

  test.each([
    [["a"], 0, "Change what to send", true, "Leave these files out"],
    // Leaving out the named files would end in the same way.
    [["a"], 17, "Change what to send", false, "--rename or --overwrite"],
    [[], 0, "Change what to send", true, "ask the person there to make room"],
  ])("%j and %i more exist there: %s", (existing, unnamed, retry, leads, words) => {
    const error = new PeerCannotSave("the other side can't save it: why", existing, unnamed);
    const shown = wording.explain(error, { ...fine, canRetry: true });
    expect(shown).toMatchObject({ kind: "cannot-save", again: true, retry, leads });
    expect(shown.advice[0]).toContain(words);
    expect(shown.advice.at(-1)).toContain("change what you send");
    expect(wording.explain(error, fine).advice.at(-1)).toBe(AGAIN);
  });

  test("while the device is offline, once more is not what comes next", () => {
    const offline = { ...fine, canRetry: true, online: false, isOnline: false };
    expect(wording.explain(lost, offline)).toMatchObject({ again: true, leads: false });
    expect(wording.explain(lost, { ...offline, isOnline: true }).leads).toBe(true);
  });

  test("an expired code asks for a new one", () => {
    const { title, advice } = wording.explain(new CodeExpired("no answer"), fine);
    expect(title).toBe("The code has expired");
    expect(advice).toContain(AGAIN);
  });

  test.each([
    [lost, STILL],
    [new CodeExpired("no answer"), AGAIN],
  ])("a code that is not used up is to be tried again, unless it has expired", (error, last) => {
    const { advice } = wording.explain(error, { ...fine, canRetry: true, silent: true });
    expect(advice.at(-1)).toBe(last);
  });

  test("stopping before a file is complete shows that none is", () => {
    const stopped = new Interrupted("you stopped it");
    expect(wording.explain(stopped, fine).advice).toEqual([NONE, AGAIN]);
    expect(wording.explain(stopped, { ...fine, some: true }).advice).toEqual([KEPT, AGAIN]);
    expect(wording.explain(stopped, { ...fine, canRetry: true }).advice).toEqual([STILL]);
  });

  test("an error without words leaves its title", () => {
    expect(wording.explain(new DcsendError(""), fine).detail).toBe("");
  });
});
