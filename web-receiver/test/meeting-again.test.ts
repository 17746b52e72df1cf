/** A page meets the other side of a short code again: src/session/meeting_again.ts. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectionLost, type DcsendError } from "../src/errors.ts";
import { AgainKeys } from "../src/rendezvous/again.ts";
import type { Item } from "../src/rendezvous/items.ts";
import type { LastingConnection } from "../src/session/lasting.ts";
import { begunAgain } from "../src/session/meeting_again.ts";
import { AllocatorAttempt, JoinerAttempt } from "./again-sides.ts";
import { TLS } from "./both-sides.ts";
import { Attempts, hostCandidate, MemoryServer } from "./memory-server.ts";
import { ANSWER, OFFER } from "./shortcodes.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const HELLO =
  '{"type":"hello","versions":[1],"agent":"t","role":"sender","features":["reconnect","anew"],"max_frame":65016}';
const KEY = Uint8Array.from({ length: 32 }, (_, at) => at);
const CANDIDATE: Item = { kind: "candidate", candidate: hostCandidate("192.0.2.1") };
const OFFERED = OFFER.kind === "description" ? OFFER.description.fingerprint : KEY;
const FINGERPRINT = ANSWER.kind === "description" ? ANSWER.description.fingerprint : KEY;

/** A page that was loaded again, with the server and the other side. */
class Returned {
  readonly server = new MemoryServer();
  readonly attempts = new Attempts();
  readonly again = new AgainKeys(KEY);
  readonly leaving = new AbortController();
  readonly certificate = {} as RTCCertificate;
  connection: LastingConnection | null = null;
  error: DcsendError | null = null;

  begin(fingerprint = FINGERPRINT, shows = false): void {
    const options = {
      open: this.attempts.open,
      certificate: this.certificate,
      mailbox: { newSocket: this.server.newSocket },
    };
    const reunion = { key: KEY, server: TLS, servers: "", fingerprint, shows };
    begunAgain(reunion, options, this.leaving.signal).then(
      (connection) => {
        this.connection = connection;
      },
      (error: DcsendError) => {
        this.error = error;
      },
    );
  }

  wait(): AllocatorAttempt {
    return new AllocatorAttempt(this.server, this.again);
  }

  /** Offer to the page, which has shown the code. */
  join(): JoinerAttempt {
    return new JoinerAttempt(this.server, this.again);
  }
}

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

test("the newest attempt is answered, and connects", async () => {
  const page = new Returned();
  const [former, newest] = [page.wait(), page.wait()];
  page.begin();
  await pass(0.2);
  expect([former.isAnswered, newest.isAnswered]).toEqual([false, true]);
  newest.answer(ANSWER);
  newest.send(CANDIDATE);
  await pass(0.1);
  expect(page.connection?.link).toBeDefined();
  expect(page.server.moods).toEqual(["happy"]);
});

test("an offer that the other side has not read is made again", async () => {
  const page = new Returned();
  const former = page.wait();
  page.begin();
  await pass(0.2);
  expect(former.isAnswered).toBe(true);
  const newest = page.wait();
  await pass(2);
  expect(page.attempts.begun.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  newest.answer(ANSWER);
  newest.send(CANDIDATE);
  await pass(0.1);
  expect(page.connection?.link).toBeDefined();
});

test("another certificate is not connected, and the next attempt may be right", async () => {
  const page = new Returned();
  page.begin(new Uint8Array(32));
  for (let turn = 0; turn < 2; turn++) {
    const attempt = page.wait();
    await pass(2);
    attempt.answer(ANSWER);
    attempt.send(CANDIDATE);
    await pass(2);
  }
  expect(page.attempts.begun.map(({ isClosed }) => isClosed)).toEqual([true, true]);
  expect(page.connection).toBeNull();
});

test("a message that the other side has not sealed ends its attempt only", async () => {
  const page = new Returned();
  const attempt = page.wait();
  page.begin();
  await pass(0.2);
  const forged = { side: "a", phase: `a1.${attempt.tag}`, body: "00".repeat(530) };
  page.server.add({ ...forged, body: `0100${"00".repeat(528)}` }, page.again.mailbox);
  await pass(2);
  const next = page.wait();
  await pass(2);
  next.answer(ANSWER);
  next.send(CANDIDATE);
  await pass(0.1);
  expect(page.connection?.link).toBeDefined();
});

test("other side that is gone is an error after 20 s", async () => {
  const page = new Returned();
  page.begin();
  await pass(19.9);
  expect(page.error).toBeNull();
  await pass(0.2);
  expect(page.error).toHaveProperty("kind", "connection");
  expect(page.error?.hint).toBe("is dcsend still running there?");
});

test("the connection goes on by one meeting at a time", async () => {
  const page = new Returned();
  const former = page.wait();
  page.begin();
  await pass(0.2);
  former.answer(ANSWER);
  former.send(CANDIDATE);
  await pass(0.1);
  const { connection, server, attempts } = page;
  if (connection === null) throw new Error("it has not begun");
  connection.channels.control.receive().catch(() => {});
  // As the other side sends its Hello, after which it lasts.
  connection.takes("control", HELLO);
  connection.ended(connection.link, new ConnectionLost("the connection was lost"));
  await pass(6);
  expect(server.sockets.size).toBe(1);
  page.wait();
  await pass(1);
  expect(attempts.begun).toHaveLength(2);
  connection.close();
});

test("stopping ends the attempt, and closes the mailbox", async () => {
  const page = new Returned();
  page.wait();
  page.begin();
  await pass(0.2);
  page.leaving.abort();
  await pass(0);
  expect(page.error).toHaveProperty("kind", "interrupted");
  expect(page.attempts.begun.map(({ isClosed }) => isClosed)).toEqual([true]);
  expect(page.server.moods).toEqual(["happy"]);
});

/** A page that has shown the code, was loaded again, and waits. */
async function waiting(fingerprint?: typeof FINGERPRINT): Promise<Returned> {
  const page = new Returned();
  page.begin(fingerprint, true);
  await pass(0.1);
  return page;
}

const RESUME = '{"type":"resume","control":2,"data":9,"text":0}';

test("a page that has shown the code answers the offer, and begins when the other side goes on", async () => {
  const page = await waiting(OFFERED);
  const joiner = page.join();
  joiner.offer(OFFER);
  await pass(0.1);
  expect(joiner.received).toEqual(["description"]);
  joiner.send(CANDIDATE);
  await pass(0.1);
  expect(page.attempts.begun.map(({ offers }) => offers)).toEqual([false]);
  expect(page.connection).toBeNull();
  page.attempts.other.channels.control.send(RESUME);
  await pass(0.1);
  expect(page.connection?.link).toBeDefined();
  expect(page.server.moods).toEqual(["happy"]);
});

test("a new offer ends the attempt before, which has no path", async () => {
  const page = await waiting(OFFERED);
  page.join().offer(OFFER);
  await pass(1);
  const joiner = page.join();
  joiner.offer(OFFER);
  await pass(1);
  expect(page.attempts.begun.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  joiner.send(CANDIDATE);
  page.attempts.other.channels.control.send(RESUME);
  await pass(0.1);
  expect(page.connection?.link).toBeDefined();
});

test.each(["another certificate", "a forged offer"])("%s is not answered", async (what) => {
  const isForged = what === "a forged offer";
  const page = await waiting(isForged ? OFFERED : new Uint8Array(32));
  const joiner = page.join();
  if (isForged) {
    const forged = { side: "b", phase: `b0.${joiner.tag}`, body: `0100${"00".repeat(544)}` };
    page.server.add(forged, page.again.mailbox);
  } else joiner.offer(OFFER);
  await pass(1);
  expect([page.attempts.begun, joiner.received]).toEqual([[], []]);
  expect(page.join().tag).not.toBe(joiner.tag);
  page.leaving.abort();
});

test("other side that connects and does not go on is an error after 10 s", async () => {
  const page = await waiting(OFFERED);
  const joiner = page.join();
  joiner.offer(OFFER);
  await pass(0.1);
  joiner.send(CANDIDATE);
  await pass(9.9);
  expect(page.error).toBeNull();
  await pass(0.2);
  expect(page.error).toHaveProperty("kind", "connection");
});
