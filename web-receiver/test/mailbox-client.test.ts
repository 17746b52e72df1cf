/** A mailbox over one WebSocket after the other, whose server is the test. */
import { describe, expect, test, vi } from "vitest";
import {
  ConnectionFailed,
  DcsendError,
  Interrupted,
  LocalProtocolError,
  RemoteProtocolError,
} from "../src/errors.ts";
import { allocate, growingPauses, join, type MailboxOptions } from "../src/rendezvous/client.ts";
import { CLAIMED, FakeNetwork, message, PONG, WELCOME } from "./fake-websocket.ts";
import { pass, simulateTime } from "./simulated-time.ts";

const SERVER = { url: "wss://server.example/v1", name: "server.example" };
const BODY = Uint8Array.of(1);

simulateTime();

function* pauses(): Generator<number, never> {
  for (let pause = 1; ; pause += 1) yield pause;
}

/** Begin to join or to allocate. */
function begin(number = "7", options: MailboxOptions = {}) {
  const network = new FakeNetwork();
  const settings = { newSocket: network.newSocket, pauses, ...options };
  const opening = number === "" ? allocate(SERVER, settings) : join(SERVER, number, settings);
  const error = opening.then(
    () => null,
    (reason: unknown) => reason,
  );
  return { network, opening, error };
}

/** Return an open mailbox with its network. */
async function opened(number = "7") {
  const { network, opening } = begin(number);
  network.last.accept();
  if (number === "") network.last.deliver(WELCOME, { type: "allocated", nameplate: "7" });
  network.last.deliver(WELCOME, CLAIMED, PONG);
  return { network, mailbox: await opening };
}

/** Return the reason for which a promise is rejected. */
async function reasonOf(promise: Promise<unknown>): Promise<DcsendError> {
  const reason = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(reason instanceof DcsendError)) throw new Error(`not an error of dcsend: ${reason}`);
  return reason;
}

describe("opening", () => {
  test("a joiner claims its number at the server's URL in the first flight", async () => {
    const { network, opening } = begin();
    expect(network.last.url).toBe(SERVER.url);
    network.last.accept();
    expect(network.last.types).toEqual(["bind", "claim"]);
    network.last.deliver(WELCOME, CLAIMED);
    expect(network.last.types).toEqual(["bind", "claim", "open", "ping"]);
    expect((await opening).number).toBe("7");
  });

  test("an allocator has the number that the server gave it", async () => {
    const { mailbox } = await opened("");
    expect(mailbox.number).toBe("7");
  });

  test("a notice and servers of the server are kept", async () => {
    const { network, opening } = begin();
    network.last.accept();
    const welcome = { motd: "hello", "dcsend-ice-servers": [{ urls: "stun:a" }] };
    network.last.deliver({ type: "welcome", welcome }, CLAIMED);
    const mailbox = await opening;
    expect(mailbox.motd).toBe("hello");
    expect(mailbox.iceServers).toMatchObject([{ urls: ["stun:a"] }]);
  });

  test("messages in binary are read, too", async () => {
    const { network, opening } = begin();
    network.last.accept();
    expect(network.last.binaryType).toBe("arraybuffer");
    const coded = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).buffer;
    network.last.deliver(coded(WELCOME), coded(CLAIMED));
    expect((await opening).number).toBe("7");
  });

  test("each side has another name", async () => {
    const [one, other] = [begin(), begin()];
    for (const { network } of [one, other]) network.last.accept();
    const sides = [one, other].map(({ network }) => network.last.sent[0]?.side);
    expect(sides[0]).toMatch(/^[0-9a-f]{10}$/);
    expect(sides[0]).not.toBe(sides[1]);
  });
});

describe("a server that can't be used ends with one line", () => {
  test.each(["drop", "fail"] as const)("that can't be reached: %s", async (end) => {
    const { network, error } = begin();
    network.last[end]();
    expect(await error).toBeInstanceOf(ConnectionFailed);
    expect(await error).toMatchObject({ message: "the server server.example can't be reached" });
    expect(network.last.isClosed).toBe(true);
  });

  test("that has served this page", async () => {
    vi.stubGlobal("location", { protocol: "http:", host: "server.example" });
    const server = { url: "ws://server.example/v1", name: "ws://server.example/v1" };
    const network = new FakeNetwork();
    const error = reasonOf(join(server, "7", { newSocket: network.newSocket, pauses }));
    network.last.drop();
    expect(await error).toMatchObject({
      hint: "open the new link, or scan the new QR code: the dcsend of this page has ended",
    });
    vi.unstubAllGlobals();
  });

  test("to which the browser does not connect", async () => {
    const newSocket = () => {
      throw new DOMException("insecure", "SecurityError");
    };
    const { error } = begin("7", { newSocket });
    expect(await error).toBeInstanceOf(ConnectionFailed);
    expect(await error).toMatchObject({ message: /does not let this page connect/ });
  });

  test("that does not answer", async () => {
    const { network, error } = begin();
    await pass(14.9);
    expect(network.last.isClosed).toBe(false);
    await pass(0.2);
    expect(await error).toMatchObject({
      message: "the server server.example does not answer within 15 s",
    });
    expect(network.last.isClosed).toBe(true);
  });

  test("that is silent", async () => {
    const { network, error } = begin();
    network.last.accept();
    await pass(5);
    expect(await error).toMatchObject({
      message: "the server server.example is silent: no welcome after 5 s",
    });
  });

  test("that is slow", async () => {
    const { network, error } = begin();
    network.last.accept();
    network.last.deliver(WELCOME);
    await pass(15);
    expect(await error).toMatchObject({
      message: "the server server.example is slow: no mailbox after 15 s",
    });
  });

  test("that closes the connection", async () => {
    const { network, error } = begin();
    network.last.accept();
    network.last.drop();
    expect(await error).toMatchObject({
      message: "the server server.example has closed the connection",
    });
  });

  test.each([
    ["that refuses", { type: "welcome", welcome: { error: "full" } }, "refuses: full"],
    ["that reports an error", { type: "error", error: "bad" }, "reports: bad"],
    ["with a crowded number", { type: "error", error: "crowded" }, "two others already use"],
    ["that sends no JSON", "{", "a message is not JSON"],
    ["that sends too much", `"${"x".repeat(65_536)}"`, "a message is too long"],
  ])("%s", async (_name, text, expected) => {
    const { network, error } = begin();
    network.last.accept();
    network.last.deliver(text);
    expect(String(await error)).toContain(expected);
    expect(network.last.isClosed).toBe(true);
    await pass(100);
    expect(network.sockets).toHaveLength(1);
  });
});

describe("an attempt that is cancelled", () => {
  test("closes its socket", async () => {
    const cancelling = new AbortController();
    const { network, error } = begin("7", { signal: cancelling.signal });
    network.last.accept();
    cancelling.abort();
    expect(await error).toBeInstanceOf(Interrupted);
    expect(network.last.isClosed).toBe(true);
  });

  test("before it began connects to nothing", async () => {
    const { network, error } = begin("7", { signal: AbortSignal.abort() });
    expect(await error).toBeInstanceOf(Interrupted);
    expect(network.sockets).toEqual([]);
  });

  test("after it succeeded has no effect", async () => {
    const cancelling = new AbortController();
    const { network, opening } = begin("7", { signal: cancelling.signal });
    network.last.open();
    const mailbox = await opening;
    cancelling.abort();
    network.last.deliver(message("bb", "a0"));
    expect(await mailbox.next()).toEqual(["a0", Uint8Array.of(0)]);
  });
});

describe("messages", () => {
  test("of the other side come in the order of their arrival", async () => {
    const { network, mailbox } = await opened();
    const first = mailbox.next();
    network.last.deliver(message("bb", "a0", "01"), message("bb", "a1", "02"));
    expect(await first).toEqual(["a0", Uint8Array.of(1)]);
    expect(await mailbox.next()).toEqual(["a1", Uint8Array.of(2)]);
  });

  test("are sent at once", async () => {
    const { network, mailbox } = await opened();
    mailbox.add("b0", BODY);
    expect(network.last.sent.at(-1)).toEqual({ type: "add", phase: "b0", body: "01" });
    expect(() => mailbox.add("b0", BODY)).toThrow(LocalProtocolError);
  });

  test("of a server that violates the protocol end the mailbox", async () => {
    const { network, mailbox } = await opened();
    const next = reasonOf(mailbox.next());
    network.last.deliver("{");
    expect(await next).toBeInstanceOf(RemoteProtocolError);
    await mailbox.close("errory");
    expect(await reasonOf(mailbox.next())).toBe(await next);
    expect(network.last.isClosed).toBe(true);
    await pass(100);
    expect(network.sockets).toHaveLength(1);
  });
});

describe("a lost socket", () => {
  test("is followed by another one of the same side, after a pause", async () => {
    const { network, mailbox } = await opened();
    const [first] = network.sockets;
    first?.drop();
    await pass(0.9);
    expect(network.sockets).toHaveLength(1);
    await pass(0.2);
    expect(network.sockets).toHaveLength(2);
    network.last.open(message("bb", "a0"));
    expect(network.last.sent[0]).toEqual(first?.sent[0]);
    expect(await mailbox.next()).toEqual(["a0", Uint8Array.of(0)]);
  });

  test("is followed by attempts with growing pauses, which begin anew after a success", async () => {
    const { network } = await opened();
    network.last.drop();
    for (const pause of [1, 2, 3]) {
      const before = network.sockets.length;
      await pass(pause - 0.1);
      expect(network.sockets).toHaveLength(before);
      await pass(0.1);
      expect(network.sockets).toHaveLength(before + 1);
      if (pause < 3) network.last.drop();
    }
    network.last.open();
    network.last.drop();
    const before = network.sockets.length;
    await pass(1);
    expect(network.sockets).toHaveLength(before + 1);
  });

  test("whose messages the mailbox lacks: they are sent again", async () => {
    const { network, mailbox } = await opened();
    mailbox.add("b0", BODY);
    network.last.drop();
    mailbox.add("b1", BODY);
    await pass(1);
    mailbox.add("b2", BODY);
    network.last.open(message(String(network.sockets[0]?.sent[0]?.side), "b0"));
    expect(network.last.phases).toEqual(["b1", "b2"]);
  });

  test("is found by a ping without an answer", async () => {
    const { network } = await opened();
    await pass(30);
    expect(network.last.types.at(-1)).toBe("ping");
    network.last.deliver(PONG);
    await pass(29);
    expect(network.sockets).toHaveLength(1);
    await pass(1 + 15);
    expect(network.sockets[0]?.isClosed).toBe(true);
    await pass(1);
    expect(network.sockets).toHaveLength(2);
  });
});

describe("closing", () => {
  test("releases the number, and waits for the server", async () => {
    const { network, mailbox } = await opened();
    const closing = mailbox.close("happy");
    expect(network.last.types.slice(-2)).toEqual(["release", "close"]);
    await pass(0.5);
    expect(network.last.isClosed).toBe(false);
    network.last.deliver({ type: "closed" });
    await closing;
    expect(network.last.isClosed).toBe(true);
  });

  test("takes at most a second", async () => {
    const { network, mailbox } = await opened();
    const closing = mailbox.close("lonely");
    await pass(1);
    await closing;
    expect(network.last.isClosed).toBe(true);
  });

  test("twice sends once", async () => {
    const { network, mailbox } = await opened();
    const closing = [mailbox.close("happy"), mailbox.close("scary")];
    network.last.deliver({ type: "closed" });
    await Promise.all(closing);
    expect(network.last.types.filter((type) => type === "close")).toHaveLength(1);
  });

  test("ends what waits for a message", async () => {
    const { network, mailbox } = await opened();
    const next = reasonOf(mailbox.next());
    const closing = mailbox.close("happy");
    network.last.deliver({ type: "closed" });
    await closing;
    expect(await next).toBeInstanceOf(ConnectionFailed);
  });

  test("between two sockets ends the attempts", async () => {
    const { network, mailbox } = await opened();
    network.last.drop();
    await mailbox.close("happy");
    await pass(100);
    expect(network.sockets).toHaveLength(1);
  });

  test("while another socket connects waits for nothing", async () => {
    const { network, mailbox } = await opened();
    network.last.drop();
    await pass(1);
    expect(network.sockets).toHaveLength(2);
    await mailbox.close("happy");
    expect(network.last.isClosed).toBe(true);
  });

  test("while the socket is lost makes no other one", async () => {
    const { network, mailbox } = await opened();
    const closing = mailbox.close("happy");
    network.last.drop();
    await closing;
    await pass(100);
    expect(network.sockets).toHaveLength(1);
  });
});

test("pauses grow to about 30 s, and are random", () => {
  const middle = growingPauses(() => 0.5);
  const found = Array.from({ length: 12 }, () => middle.next().value);
  expect(found.slice(0, 3)).toEqual([1, 1.5, 2.25]);
  expect(found.at(-1)).toBe(30);
  expect(growingPauses(() => 0).next().value).toBe(0.5);
});
