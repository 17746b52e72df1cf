/** Both sides of a short code in one process: src/session/joining.ts and short_codes.ts. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  AuthenticationFailed,
  CodeExpired,
  ConnectionFailed,
  ConnectionLost,
  Interrupted,
} from "../src/errors.ts";
import { iceServers } from "../src/session/ice_settings.ts";
import { LastingConnection } from "../src/session/lasting.ts";
import { EXPIRES, SLOW } from "../src/session/short_codes.ts";
import { Joined, PLAIN, Shown, settle, shown, TYPED } from "./both-sides.ts";
import { HELLO } from "./lost-links.ts";
import { Attempts, MemoryServer } from "./memory-server.ts";

const ANEW = HELLO.replace('"reconnect"', '"reconnect","anew"');

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("the side that has entered the code connects, candidates go both ways", async () => {
  const { server, attempts, page } = await shown();
  expect(page.codes).toEqual([null, "1-walrus-umbrella@rendezvous.example.org"]);
  expect(server.phases).toEqual(["a0"]);
  const other = new Joined(server, attempts, page.code);
  await settle();
  expect(page.state.connection).toBeDefined();
  expect(other.state.connection).toBeDefined();
  expect(page.isConnecting).toBe(true);
  expect(other.spent).toBe(1);
  const [offerer, answerer] = attempts.begun;
  expect([offerer?.offers, answerer?.offers]).toEqual([true, false]);
  expect(offerer?.theirs).toEqual([answerer?.own[0]?.replace("candidate:1", "candidate:0")]);
  expect(answerer?.theirs).toEqual([offerer?.own[0]?.replace("candidate:1", "candidate:0")]);
  expect(server.moods).toEqual(["happy", "happy"]);
});

test("both sides meet again when the connection is lost", async () => {
  const { server, attempts, page } = await shown();
  const other = new Joined(server, attempts, page.code);
  await settle();
  const sides = [page.state.connection, other.state.connection].map((one) => {
    if (!(one instanceof LastingConnection)) throw new Error("it does not last");
    return one;
  });
  for (const side of sides) side.channels.control.send(ANEW);
  for (const side of sides) {
    expect(await side.channels.control.receive()).toBe(ANEW);
    side.accepted();
  }
  const kept = sides.map(({ ticket }) => [
    ticket?.reunion?.shows ?? false,
    ticket?.reunion?.servers,
  ]);
  expect(kept).toEqual([
    [true, TYPED],
    [false, TYPED],
  ]);
  attempts.renew();
  for (const side of sides) side.ended(side.link, new ConnectionLost("the connection was lost"));
  const receiving = sides.map(({ channels }) => channels.data.receive());
  await vi.advanceTimersByTimeAsync(2000);
  for (const side of sides) side.channels.data.send("more");
  await settle();
  expect(await Promise.all(receiving)).toEqual(["more", "more"]);
  expect(attempts.begun.map(({ offers }) => offers)).toEqual([true, false, true, false]);
  for (const side of sides) side.close();
});

test("each side reports how its network behaves, for the error of the other one", async () => {
  const { server, attempts, page } = await shown();
  attempts.needs = 2;
  new Joined(server, attempts, page.code);
  await settle();
  const [offerer, answerer] = attempts.begun;
  offerer?.survey({ mapping: "address-dependent", udp: "works" });
  answerer?.survey({ mapping: "unknown", udp: "blocked" });
  await settle();
  expect(answerer?.there).toMatchObject({ mapping: "address-dependent", udp: "works" });
  expect(offerer?.there).toMatchObject({ mapping: "unknown", udp: "blocked" });
});

test("descriptions travel without candidates, which are sent as they are found", async () => {
  const { server, attempts, page } = await shown();
  new Joined(server, attempts, page.code);
  await settle();
  const [offerer, answerer] = attempts.begun;
  expect(answerer?.given[0]).toContain("a=ice-ufrag:KDrd");
  expect(answerer?.given[0]).not.toContain("a=candidate");
  expect(offerer?.given[1]).toContain("a=setup:active");
});

test("the number is claimed when the offer is ready", async () => {
  const { server, attempts, page } = await shown();
  let make = () => {};
  attempts.preparing = new Promise((resolve) => {
    make = resolve;
  });
  const other = new Joined(server, attempts, page.code);
  await vi.advanceTimersByTimeAsync(1000);
  expect([...server.sockets].map(({ number }) => number)).toEqual(["1", ""]);
  make();
  await settle();
  expect(other.state.connection).toBeDefined();
});

test("a code of a server without TLS names no server", async () => {
  const { page } = await shown(PLAIN);
  expect(page.code).toBe("1-walrus-umbrella");
});

test("TURN servers of the rendezvous server are used on both sides", async () => {
  const [server, attempts] = [new MemoryServer(), new Attempts()];
  const relay = { urls: ["turn:relay.example.org"], username: "u", credential: "p" };
  server.welcome = { motd: "Hello.", "dcsend-ice-servers": [relay] };
  const page = new Shown(server, attempts);
  await settle();
  const other = new Joined(server, attempts, page.code);
  await settle();
  expect(attempts.begun.map(({ offered }) => offered)).toEqual([[relay], [relay]]);
  expect(page.notes[0]).toContain("rendezvous.example.org reports: Hello.");
  expect(other.notes).toEqual(["the server rendezvous.example.org reports: Hello."]);
});

test("servers without a usable URL are not given to the browser", () => {
  const offered = { urls: ["stuns:one", "turn:two"], username: "u", credential: "p" };
  const none = { urls: ["stuns:one"], username: "", credential: "" };
  const named = [{ urls: "stun:mine" }];
  expect(iceServers(named, [offered, none])).toEqual([
    ...named,
    { ...offered, urls: ["turn:two"] },
  ]);
});

describe("wrong words", () => {
  test("fail at once on one side, and use the code up on the other", async () => {
    const { server, attempts, page } = await shown();
    const other = new Joined(server, attempts, "1-walrus-walrus");
    await settle();
    expect(other.state.error).toBeInstanceOf(AuthenticationFailed);
    expect(page.codes).toEqual([null, page.codes[1], null, page.code]);
    expect(page.code).toBe("2-walrus-umbrella@rendezvous.example.org");
    expect(page.notes).toEqual([expect.stringMatching(/wrong code.*give the other side the new/)]);
    expect(page.isConnecting).toBe(false);
    expect(server.moods).toContain("scary");
  });

  test("of a link are not called words, since they were not typed", async () => {
    const { server, attempts } = await shown();
    const wrong = new Joined(server, attempts, "1-walrus-walrus", true);
    await settle();
    expect(wrong.state.error).toBeInstanceOf(AuthenticationFailed);
    const unknown = new Joined(server, attempts, "7-walrus-walrus", true);
    await vi.advanceTimersByTimeAsync(2000);
    for (const { error } of [wrong.state, unknown.state]) {
      expect(error?.message).toBe("the code in this link was used up, or is wrong");
      expect(error?.hint).toBe("ask the other side for a new link");
    }
  });

  test("of another version are reported as such", async () => {
    const { server, attempts, page } = await shown();
    server.change = (added) =>
      added.phase === "b0" ? { ...added, body: `02${added.body.slice(2)}` } : added;
    new Joined(server, attempts, page.code);
    await settle();
    expect(page.notes).toEqual([expect.stringMatching(/another version has used the code up/)]);
    expect(page.code).toMatch(/^2-/);
  });

  test("disclose nothing but a refusal", async () => {
    const { server, attempts } = await shown();
    const sent: string[] = [];
    server.change = (added) => {
      sent.push(`${added.phase} ${added.body.length / 2}`);
      return added;
    };
    new Joined(server, attempts, "1-walrus-walrus");
    await settle();
    expect(sent.filter((one) => one.startsWith("a1"))).toEqual(["a1 2"]);
  });

  test("three in a row end the codes until the user asks for another", async () => {
    const { server, attempts, page } = await shown();
    for (const number of [1, 2, 3]) {
      expect(page.another).toBeNull();
      new Joined(server, attempts, `${number}-walrus-walrus`);
      await settle();
    }
    expect(page.another).not.toBeNull();
    expect(page.codes.at(-1)).toBeNull();
    expect(server.number).toBe(3);
    page.another?.();
    await settle();
    expect(page.code).toMatch(/^4-walrus-umbrella/);
    expect(page.notes.at(-1)).toBe("; ");
    new Joined(server, attempts, page.code);
    await settle();
    expect(page.state.connection).toBeDefined();
  });

  test("are counted anew after right ones", async () => {
    const { server, attempts, page } = await shown();
    for (const number of [1, 2]) {
      new Joined(server, attempts, `${number}-walrus-walrus`);
      await settle();
    }
    attempts.needs = 99;
    new Joined(server, attempts, page.code);
    await settle();
    attempts.begun.at(-1)?.fail();
    await settle();
    for (const number of [4, 5]) {
      new Joined(server, attempts, `${number}-walrus-walrus`);
      await settle();
    }
    expect(page.another).toBeNull();
    expect(page.code).toMatch(/^6-/);
  });
});

test("without a path the joiner gets its own reason at once, and the next code is shown", async () => {
  const { server, attempts, page } = await shown();
  attempts.needs = 99;
  const other = new Joined(server, attempts, page.code);
  await settle();
  attempts.begun[1]?.fail();
  await settle();
  expect(other.state.error?.message).toBe("no path; the other side: no path");
  expect(attempts.begun[0]?.isClosed).toBe(true);
  expect(page.notes).toEqual(["no path; name a relay"]);
  expect(page.code).toMatch(/^2-/);
});

test("a joiner without a path reports it, and the next code is shown at once", async () => {
  const { server, attempts, page } = await shown();
  attempts.needs = 99;
  new Joined(server, attempts, page.code);
  await settle();
  attempts.begun[0]?.fail();
  await settle();
  expect(page.notes).toEqual(["no path; the other side: no path; name a relay"]);
  expect(page.code).toMatch(/^2-/);
});

describe("beside an attempt that stalls", () => {
  /** Return a page whose first code was entered by a joiner that does not connect for 6 s. */
  async function stalled() {
    const all = await shown();
    const { server, attempts, page } = all;
    attempts.needs = 99;
    const first = new Joined(server, attempts, page.code);
    await vi.advanceTimersByTimeAsync(SLOW * 1000 - 1);
    expect(page.codes).toHaveLength(2);
    expect(page.isConnecting).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    return { ...all, first };
  }

  test("the next code is shown after 6 s", async () => {
    const { attempts, page } = await stalled();
    expect(page.codes.slice(2)).toEqual([null, "2-walrus-umbrella@rendezvous.example.org"]);
    expect(page.notes).toEqual([expect.stringMatching(/not connected yet; give the other side/)]);
    expect(attempts.begun[1]?.isClosed).toBe(false);
  });

  test("the next joiner connects, which ends that attempt", async () => {
    const { server, attempts, page, first } = await stalled();
    attempts.needs = 1;
    const second = new Joined(server, attempts, page.code);
    await settle();
    expect(page.state.connection).toBeDefined();
    expect(second.state.connection).toBeDefined();
    expect(attempts.begun[1]?.isClosed).toBe(true);
    expect(first.state.error?.message).toBe("another device is connected to the other side");
    expect(page.notes).toHaveLength(1);
  });

  test("its success withdraws the present code", async () => {
    const { server, attempts, page } = await stalled();
    attempts.begun[1]?.succeed();
    await settle();
    expect(page.state.connection).toBeDefined();
    expect(attempts.begun[1]?.isClosed).toBe(false);
    expect(server.moods).toEqual(["happy", "lonely"]);
  });

  test("its failure is noted, and the present code stays", async () => {
    const { attempts, page } = await stalled();
    attempts.begun[1]?.fail();
    await settle();
    expect(page.notes.slice(1)).toEqual(["no path; name a relay"]);
    expect(page.codes).toHaveLength(4);
    expect(page.state).toEqual({});
  });
});

test("a side that can't connect sends the reason in place of its answer", async () => {
  const { server, attempts, page } = await shown();
  attempts.refusal = new ConnectionFailed("this browser has no WebRTC");
  const other = new Joined(server, attempts, page.code);
  await settle();
  const said = "the other side does not connect: this browser has no WebRTC";
  expect(other.state.error?.message).toBe(said);
  expect(page.notes).toEqual(["this browser has no WebRTC; "]);
});

test("an unknown number fails after 2 s, without a guess", async () => {
  const [server, attempts] = [new MemoryServer(), new Attempts()];
  const other = new Joined(server, attempts, "7-walrus-umbrella");
  await vi.advanceTimersByTimeAsync(1999);
  expect(other.state).toEqual({});
  await vi.advanceTimersByTimeAsync(1);
  expect(other.state.error?.message).toMatch(/^there is no code with the number 7 on the server/);
  expect(other.spent).toBe(0);
  expect(server.phases).toEqual([]);
  expect(attempts.begun[0]?.isClosed).toBe(true);
});

test("a server that does not answer does not show that there is no code", async () => {
  const [server, attempts] = [new MemoryServer(), new Attempts()];
  server.answersPings = false;
  const other = new Joined(server, attempts, "7-walrus-umbrella");
  await vi.advanceTimersByTimeAsync(4999);
  expect(other.state).toEqual({});
  await vi.advanceTimersByTimeAsync(1);
  expect(other.state.error?.message).toMatch(/^the connection to the server .* is slow or lost$/);
  expect(other.spent).toBe(0);
});

test("an allocator that does not answer is given up after 15 s", async () => {
  const { server, attempts, page } = await shown();
  server.change = (added) => (added.phase === "b0" ? { ...added, phase: "b9" } : added);
  const other = new Joined(server, attempts, page.code);
  await vi.advanceTimersByTimeAsync(14_999);
  expect(other.state).toEqual({});
  await vi.advanceTimersByTimeAsync(1);
  expect(other.state.error).toBeInstanceOf(ConnectionFailed);
  expect(other.spent).toBe(1);
});

test("a server that is lost while a code waits is noted until it is back", async () => {
  const { server, attempts, page } = await shown();
  server.drop();
  await settle();
  expect(page.notes).toEqual([
    "rendezvous.example.org can't be reached: the code does not work until it is back; ",
  ]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(page.notes.slice(1)).toEqual(["; "]);
  new Joined(server, attempts, page.code);
  await settle();
  expect(page.state.connection).toBeDefined();
});

test("a code whose number another side has is replaced, three times in a run", async () => {
  const { server, page } = await shown();
  for (const number of [1, 2, 3]) {
    expect(page.code).toMatch(new RegExp(`^${number}-`));
    server.add({ side: "other", phase: "a0", body: "00" });
    await settle();
  }
  expect(page.notes).toHaveLength(2);
  expect(page.notes[0]).toMatch(/given the number 1 to another code; give the other side the new/);
  expect(page.state.error?.message).toContain("given the number 3 to another code");
});

test("codes expire after an hour", async () => {
  const { server, page } = await shown();
  await vi.advanceTimersByTimeAsync(EXPIRES * 1000 - 1);
  expect(page.state).toEqual({});
  await vi.advanceTimersByTimeAsync(1);
  expect(page.state.error).toBeInstanceOf(CodeExpired);
  expect(server.moods).toEqual(["lonely"]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(server.sockets.size).toBe(0);
});

test("a user who leaves ends the mailbox of either side", async () => {
  const { server, attempts, page } = await shown();
  attempts.needs = 99;
  const other = new Joined(server, attempts, page.code);
  await settle();
  other.leaving.abort();
  page.leaving.abort();
  await vi.advanceTimersByTimeAsync(1000);
  expect(other.state.error).toBeInstanceOf(Interrupted);
  expect(page.state.error).toBeInstanceOf(Interrupted);
  expect(server.sockets.size).toBe(0);
  expect(attempts.begun.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  expect(server.number).toBe(1);
});

test("a joiner that leaves makes room for the next code at once", async () => {
  const { server, attempts, page } = await shown();
  attempts.needs = 99;
  const other = new Joined(server, attempts, page.code);
  await settle();
  other.leaving.abort();
  await settle();
  expect(page.code).toMatch(/^2-/);
  expect(page.notes).toEqual(["the other side has ended the attempt; "]);
});

test("an allocator that leaves ends the attempt of its joiner", async () => {
  const { server, attempts, page } = await shown();
  attempts.needs = 99;
  const other = new Joined(server, attempts, page.code);
  await settle();
  page.leaving.abort();
  await settle();
  expect(other.state.error?.message).toBe("the other side has ended the attempt");
});

test("a server that hands out another allocator's message connects no side", async () => {
  const { server, attempts, page } = await shown();
  server.change = (added) => {
    const last = added.body.slice(-2) === "00" ? "01" : "00";
    return added.phase === "a1" ? { ...added, body: added.body.slice(0, -2) + last } : added;
  };
  const other = new Joined(server, attempts, page.code);
  await settle();
  expect(other.state.error).toBeInstanceOf(AuthenticationFailed);
  expect(other.state.connection).toBeUndefined();
});
