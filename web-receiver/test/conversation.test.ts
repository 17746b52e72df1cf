/** The text channel, keep-alive messages and deadlines, with simulated time. */
import { describe, expect, test, vi } from "vitest";
import { ConnectionFailed } from "../src/errors.ts";
import { Receiver } from "../src/protocol/receiver.ts";
import { Control } from "../src/session/control.ts";
import { Tally } from "../src/session/outcome.ts";
import { memoryPair } from "./memory-peers.ts";
import {
  blocksOf,
  chosen,
  content,
  entry,
  ReceivingPeer,
  SendingPeer,
  sha256,
  startPage,
  TestSource,
} from "./parties.ts";
import { connected, converse, never, now, pass, simulateTime } from "./simulated-time.ts";

simulateTime();

describe("keep-alive messages", () => {
  test("one goes every five seconds, and theirs are shown", async () => {
    const { page } = await connected();
    await converse(page, 21);
    const texts = page.of("text");
    expect(texts.filter(({ sent }) => sent)).toHaveLength(5);
    expect(texts.filter(({ sent }) => !sent)).toHaveLength(5);
    expect(texts.every(({ kind, text }) => kind === "random" && text.length === 15)).toBe(true);
  });

  test("silence is reported after twelve seconds", async () => {
    const { page } = await connected();
    await pass(11.9);
    expect(page.of("warning")).toEqual([]);
    await pass(0.1);
    expect(page.of("warning")).toMatchObject([
      { kind: "silent", message: "nothing from the other side for 12 s" },
    ]);
  });

  test("after thirty seconds of silence the run ends, and Cancel is sent", async () => {
    const { page, peer } = await connected();
    await pass(29.9);
    expect(page.of("failed")).toEqual([]);
    await pass(2.5);
    expect(page.of("failed")[0]?.error).toEqual(
      new ConnectionFailed("the other side has been silent for 30 s"),
    );
    expect(peer.of("cancelled")).toMatchObject([{ reason: "timeout" }]);
    expect(page.of("done")).toHaveLength(1);
  });

  test("silence means nothing while the connection is made again", async () => {
    const pair = memoryPair();
    const lasts = Object.assign(pair[0], { isInterrupted: true });
    const { page } = await connected({ pair });
    await pass(120);
    expect(page.of("failed")).toEqual([]);
    lasts.isInterrupted = false;
    await pass(34.9);
    expect(page.of("failed")).toHaveLength(1);
  });

  test("no timer is left behind", async () => {
    const { page } = await connected();
    page.run.stop();
    await pass(1);
    await page.run.finished;
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("the duration of a run begins when the offer is accepted", async () => {
  const after = (seconds: number) =>
    new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000));
  const page = startPage({
    now,
    wallClock: now,
    questions: {
      decide: async () => {
        await after(7);
        return { skip: new Map(), destination: { type: "memory", zipped: true } };
      },
    },
    sink: (sink) => {
      sink.ready = () => after(3);
    },
  });
  new SendingPeer(page.peer, [entry("f", 1)], [[0, content(1)]]);
  await converse(page, 15);
  expect(page.of("done")).toMatchObject([{ ok: true, seconds: 3 }]);
});

describe("a peer that lives and does nothing", () => {
  const failure = (page: ReturnType<typeof startPage>) => page.of("failed")[0]?.error.message;

  /** Return a function that returns how many Working the peer has received since this call. */
  const countWorking = ({ protocol }: SendingPeer | ReceivingPeer) => {
    let count = 0;
    const receive = protocol.receive.bind(protocol);
    protocol.receive = (message) => {
      count += message === '{"type":"working"}' ? 1 : 0;
      return receive(message);
    };
    return () => count;
  };

  test("has a minute for the next frame, or for Working", async () => {
    const page = startPage({ now, wallClock: now });
    const peer = new SendingPeer(page.peer, [entry("f", 1)], []);
    await converse(page, 55);
    expect(failure(page)).toBe(undefined);
    peer.protocol.working();
    peer.flush();
    await converse(page, 55);
    expect(failure(page)).toBe(undefined);
    await converse(page, 15);
    expect(failure(page)).toBe("the other side sent nothing for too long");
    expect(peer.of("cancelled")).toMatchObject([{ reason: "timeout" }]);
  });

  test("has another minute after a connection that was lost for longer", async () => {
    const pair = memoryPair();
    const lasts = Object.assign(pair[0], { isInterrupted: false });
    const page = startPage({ now, wallClock: now, pair });
    new SendingPeer(page.peer, [entry("f", 1)], []);
    await converse(page, 5);
    lasts.isInterrupted = true;
    await pass(120);
    lasts.isInterrupted = false;
    await converse(page, 55);
    expect(failure(page)).toBe(undefined);
    await converse(page, 15);
    expect(failure(page)).toBe("the other side sent nothing for too long");
  });

  test("causes no busy timer while the connection is lost", async () => {
    const pair = memoryPair();
    const lasts = Object.assign(pair[0], { isInterrupted: false });
    let calls = 0;
    const counted = () => {
      calls += 1;
      return now();
    };
    const page = startPage({ now: counted, wallClock: now, pair });
    new SendingPeer(page.peer, [entry("f", 1)], []);
    await converse(page, 5);
    lasts.isInterrupted = true;
    await pass(62);
    calls = 0;
    await pass(60);
    expect(calls).toBeLessThan(200);
  });

  test("has a minute for the rest of its manifest", async () => {
    const page = startPage({ now, wallClock: now });
    const { control } = page.peer.channels;
    control.send(
      '{"type":"hello","versions":[1],"agent":"","role":"sender","features":[],"max_frame":64960}',
    );
    await converse(page, 100);
    expect(failure(page)).toBe(undefined);
    control.send(
      '{"type":"manifest","entries":[{"path":"a","kind":"file","size":1}],"last":false}',
    );
    await converse(page, 70);
    expect(failure(page)).toBe("the other side did not complete its list of files");
  });

  test("has a minute to acknowledge", async () => {
    const page = startPage({
      now,
      wallClock: now,
      questions: { choose: async () => chosen({ a: content(10) }) },
      openSource: () =>
        new TestSource([
          { number: 0, offset: 0, payload: content(10), digest: sha256(content(10)), failure: "" },
        ]),
    });
    const peer = new ReceivingPeer(page.peer);
    peer.protocol.written = () => undefined;
    peer.protocol.verdict = () => undefined;
    await converse(page, 70);
    expect(failure(page)).toBe("the other side acknowledged nothing for too long");
  });

  test("gets Working every twenty seconds while the disk here works", async () => {
    const page = startPage({
      now,
      wallClock: now,
      sink: (sink) => {
        sink.ready = () => new Promise(() => undefined);
      },
    });
    const peer = new SendingPeer(page.peer, [entry("f", 1)], [[0, content(1)]]);
    const working = countWorking(peer);
    await converse(page, 65);
    expect(working()).toBe(3);
    expect(failure(page)).toBe(undefined);
  });

  test("gets Working every twenty seconds while the source here works", async () => {
    const page = startPage({
      now,
      wallClock: now,
      questions: { choose: async () => chosen({ a: content(10) }) },
      openSource: () => ({ next: never, close: () => undefined }),
    });
    const peer = new ReceivingPeer(page.peer);
    const working = countWorking(peer);
    await converse(page, 65);
    expect(working()).toBe(3);
    expect(failure(page)).toBe(undefined);
  });

  test("gets no Working while this page waits for frames", async () => {
    const page = startPage({ now, wallClock: now });
    const working = countWorking(new SendingPeer(page.peer, [entry("f", 1)], []));
    await converse(page, 55);
    expect(working()).toBe(0);
  });

  test("gets no Working while this page waits for Ack", async () => {
    const page = startPage({
      now,
      wallClock: now,
      questions: { choose: async () => chosen({ a: content(1000) }) },
      blocks: blocksOf([content(1000)], 100),
    });
    const peer = new ReceivingPeer(page.peer, 500);
    peer.protocol.written = () => undefined;
    peer.protocol.verdict = () => undefined;
    const working = countWorking(peer);
    await converse(page, 55);
    expect(working()).toBe(0);
  });
});

describe("typed lines", () => {
  test("go with a line feed, in pieces if they are long", async () => {
    const { page } = await connected();
    page.run.sendLine("congratulations");
    page.run.sendLine("");
    page.run.sendLine("🦕".repeat(5000));
    await pass(0);
    const { text } = page.peer.channels;
    expect(await text.receive()).toBe("congratulations\n");
    expect(await text.receive()).toBe("\n");
    expect(await text.receive()).toBe(`${"🦕".repeat(4095)}\n`);
    expect(await text.receive()).toBe(`${"🦕".repeat(905)}\n`);
    expect(page.of("text").map(({ kind, sent }) => `${kind} ${sent}`)).toEqual(
      Array(4).fill("line true"),
    );
  });

  test("of the other side are shown without it", async () => {
    const { page } = await connected();
    page.peer.channels.text.send("hello\n");
    await pass(0);
    expect(page.of("text")).toMatchObject([{ kind: "line", text: "hello", sent: false }]);
  });
});

describe("a page that the browser suspends", () => {
  /** Simulate a sleep of the device: no timer fires meanwhile. */
  const sleep = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1000);

  test("is not taken for a silent peer", async () => {
    const { page } = await connected();
    sleep(100);
    await pass(11);
    expect(page.of("failed")).toEqual([]);
  });

  test.each([
    ["before the timer comes", 0],
    ["after it", 20],
  ])("is the reason that is reported when the connection is lost, %s", async (_, seconds) => {
    const { page } = await connected();
    sleep(100);
    await converse(page, seconds);
    page.connection.cut();
    await pass(1);
    const error = page.of("failed")[0]?.error;
    expect(error?.message).toMatch("the browser had suspended this page");
    expect(error?.hint).toMatch("keep this page in front");
  });

  test("reports the sleep when the peer gave up", async () => {
    const { page, peer } = await connected();
    sleep(40);
    peer.protocol.cancel("timeout", "silent for 30 s");
    peer.flush();
    await pass(1);
    expect(page.of("failed")[0]?.error.message).toMatch("suspended this page");
  });

  test("is detected by the other clock, too", async () => {
    let wall = 1000;
    const { page } = await connected({ wallClock: () => wall });
    wall += 100;
    page.connection.cut();
    await pass(1);
    expect(page.of("failed")[0]?.error.message).toMatch("suspended this page");
  });

  test("is no excuse for what happens much later", async () => {
    const { page } = await connected();
    sleep(20);
    await converse(page, 80);
    page.connection.cut();
    await pass(1);
    expect(page.of("failed")[0]?.error.message).not.toMatch("suspended");
  });

  test("is no excuse for a peer that declines", async () => {
    const page = startPage({ now, wallClock: now, questions: { choose: never } });
    const peer = new ReceivingPeer(page.peer);
    await pass(0);
    sleep(100);
    peer.protocol.cancel("interrupted");
    peer.flush();
    await pass(1);
    expect(page.of("failed")[0]?.error.message).toBe("the other side cancelled");
  });
});

test("messages stay in order when the channel has no room", async () => {
  const [connection] = memoryPair();
  const { control } = connection.channels;
  const sent: unknown[] = [];
  let room = 0;
  control.send = (message) => {
    room -= 1;
    return room >= 0 && sent.push(message) > 0;
  };
  control.writable = () => new Promise((resolve) => setTimeout(resolve, 1000));
  const queue = [["1", "2"], ["3"]];
  const side = new Receiver("page");
  side.messagesToSend = () => queue.shift() ?? [];
  const route = await connection.route();
  const peer = {
    connection,
    hello: "",
    route,
    noteArrival: () => undefined,
    expect: () => undefined,
    lift: () => undefined,
  };
  const line = new Control(peer, side, "receiver", new Tally(() => undefined));
  const flushed = line.flush();
  await pass(0);
  room = 9;
  await Promise.all([line.flush(), flushed, pass(2)]);
  expect(sent).toEqual(["1", "2", "3"]);
});
