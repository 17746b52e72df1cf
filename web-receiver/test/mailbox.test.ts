/** The client side of the mailbox protocol: what it sends, and what each answer leads to. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  CodeUsed,
  ConnectionFailed,
  DcsendError,
  LocalProtocolError,
  RemoteProtocolError,
} from "../src/errors.ts";
import { MailboxClient } from "../src/rendezvous/mailbox.ts";
import { CLAIMED, message, PONG, WELCOME } from "./fake-websocket.ts";

const json = JSON.stringify;
const read = (texts: string[]) => texts.map((text) => JSON.parse(text));
const types = (texts: string[]) => read(texts).map(({ type }) => type);
const phases = (texts: string[]) =>
  read(texts).flatMap(({ type, phase }) => (type === "add" ? [phase] : []));
const bytes = (...values: number[]) => Uint8Array.from(values);

/** Return a client that has received these messages on its first socket. */
function connected(number: string, ...messages: unknown[]): MailboxClient {
  const client = new MailboxClient("server.example", "aa", number);
  client.connect();
  for (const one of messages) client.receive(json(one));
  return client;
}

/** Return a client whose mailbox is open; without a number it has allocated 7. */
function opened(number = "7"): MailboxClient {
  const allocated = { type: "allocated", nameplate: "7" };
  return connected(number, WELCOME, ...(number === "" ? [allocated] : []), CLAIMED, PONG);
}

const welcomed = (welcome: unknown) => connected("7", { type: "welcome", welcome });

/** Let a client begin on a new socket, up to its open mailbox. */
function reconnect(client: MailboxClient, mailbox = "m1"): string[] {
  client.connect();
  client.receive(json(WELCOME));
  return client.receive(json({ type: "claimed", mailbox }));
}

function caught(action: () => unknown): DcsendError {
  try {
    action();
  } catch (error) {
    if (error instanceof DcsendError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("opening", () => {
  test("a joiner binds and claims before the server has sent anything", () => {
    expect(read(new MailboxClient("s", "aa", "7").connect())).toEqual([
      { type: "bind", appid: "dcsend/1", side: "aa" },
      { type: "claim", nameplate: "7" },
    ]);
  });

  test("an allocator claims the number that it gets", () => {
    const client = new MailboxClient("s", "aa");
    expect(types(client.connect())).toEqual(["bind", "allocate"]);
    client.receive(json(WELCOME));
    const claim = client.receive(json({ type: "allocated", nameplate: "42" }));
    expect(read(claim)).toEqual([{ type: "claim", nameplate: "42" }]);
    expect(client.number).toBe("42");
  });

  test("the mailbox is opened as soon as its id is known", () => {
    const client = connected("7", WELCOME);
    expect(client.isOpen).toBe(false);
    expect(read(client.receive(json(CLAIMED)))[0]).toEqual({ type: "open", mailbox: "m1" });
    expect(client.isOpen).toBe(true);
  });

  test("a message that was added early is sent when the mailbox opens", () => {
    const client = connected("7", WELCOME);
    expect(client.add("b0", bytes(1))).toEqual([]);
    expect(phases(client.receive(json(CLAIMED)))).toEqual(["b0"]);
  });

  test.each(["x", "07", "1000000", "7\n"])(
    "a number that fits in no code is refused: %j",
    (number) => {
      expect(() => new MailboxClient("s", "aa", number)).toThrow(LocalProtocolError);
    },
  );
});

test.each([
  ["", "use another server"],
  ["7", "use a code with another server, or the dial code"],
])("a server that refuses the side with the number %j: %s", (number, hint) => {
  const welcome = { type: "welcome", welcome: { error: "closed" } };
  expect(caught(() => connected(number, welcome)).hint).toBe(hint);
});

describe("messages", () => {
  test("have their body in hexadecimal digits", () => {
    expect(read(opened().add("b0", bytes(0xab, 1)))).toEqual([
      { type: "add", phase: "b0", body: "ab01" },
    ]);
  });

  test.each([
    ["a0", 0],
    ["b64", 0],
    ["b01", 0],
    ["", 0],
    ["b1", 4097],
  ])("outside of the protocol are not sent: %j with %i bytes", (phase, size) => {
    expect(() => opened().add(phase, new Uint8Array(size))).toThrow(LocalProtocolError);
  });

  test("are sent once for each phase", () => {
    const client = opened();
    client.add("b0", bytes(1));
    expect(() => client.add("b0", bytes(2))).toThrow(LocalProtocolError);
  });

  test("of the other side are delivered once for each phase", () => {
    const client = opened();
    for (const one of [message("bb", "a0", "aB"), message("bb", "a0", "cd"), message("bb", "a1")]) {
      client.receive(json(one));
    }
    expect(client.messages).toEqual([
      ["a0", bytes(0xab)],
      ["a1", bytes(0)],
    ]);
  });

  test.each(["b1", "a64", "a", "pake", "a01", 0, null])(
    "of another phase are ignored: %j",
    (phase) => {
      const client = opened();
      expect(client.receive(json(message("bb", phase, "zz")))).toEqual([]);
      expect(client.messages).toEqual([]);
    },
  );

  test("of this side are not delivered", () => {
    const client = opened();
    client.receive(json(message("aa", "a0")));
    expect(client.messages).toEqual([]);
  });

  test("of a hostile server are at most 64", () => {
    const client = opened();
    for (let number = 0; number < 900; number++) {
      client.receive(json(message(`side${number}`, `a${number}`)));
    }
    expect(client.messages).toHaveLength(64);
  });
});

describe("a new socket", () => {
  test("is used by the same side for the same number", () => {
    expect(read(opened("").connect())).toEqual([
      { type: "bind", appid: "dcsend/1", side: "aa" },
      { type: "claim", nameplate: "7" },
    ]);
  });

  test("sends no message that the mailbox has", () => {
    const client = opened();
    client.add("b0", bytes(1));
    expect(phases(reconnect(client))).toEqual([]);
    client.receive(json(message("aa", "b0")));
    expect(client.receive(json(PONG))).toEqual([]);
  });

  test("sends what the mailbox lacks, even if its echo had arrived", () => {
    const client = opened();
    client.add("b0", bytes(1));
    client.receive(json(message("aa", "b0")));
    expect(phases(reconnect(client, "another"))).toEqual([]);
    expect(phases(client.receive(json(PONG)))).toEqual(["b0"]);
  });

  test("sends what was added without a socket at once and only once", () => {
    const client = opened();
    client.connect();
    client.add("b0", bytes(1));
    client.receive(json(WELCOME));
    expect(phases(client.receive(json(CLAIMED)))).toEqual(["b0"]);
    expect(client.receive(json(PONG))).toEqual([]);
  });

  test("sends its first message before later ones: a joiner begins with b0", () => {
    const client = opened();
    client.add("b0", bytes(1)); // sent; it may not have arrived
    client.connect();
    client.add("b1", bytes(1));
    client.receive(json(WELCOME));
    expect(phases(client.receive(json(CLAIMED)))).toEqual([]);
    expect(client.add("b2", bytes(1))).toEqual([]);
    expect(phases(client.receive(json(PONG)))).toEqual(["b0", "b1", "b2"]);
    expect(phases(client.add("b3", bytes(1)))).toEqual(["b3"]);
  });

  test("delivers nothing again", () => {
    const client = opened();
    client.receive(json(message("bb", "a0")));
    reconnect(client);
    client.receive(json(message("bb", "a0")));
    client.receive(json(message("bb", "a1")));
    expect(client.messages.map(([phase]) => phase)).toEqual(["a0", "a1"]);
  });

  test("finds out that the server has given the number to another allocator", () => {
    const client = opened("");
    reconnect(client);
    const error = caught(() => client.receive(json(message("bb", "a0"))));
    expect(error).toBeInstanceOf(ConnectionFailed);
    expect(error.message).toMatch("given the number 7 to another code");
  });
});

describe("welcome", () => {
  test("has a notice, in one line that is safe to show", () => {
    expect(welcomed({ motd: "down on\nMonday\x1b[2J" }).motd).toBe("down on Monday\\x1b[2J");
    expect(welcomed({ motd: "x".repeat(10_000) }).motd).toHaveLength(400);
    expect(welcomed({ motd: 7 }).motd).toBe("");
  });

  test("with an error ends with its text", () => {
    const error = caught(() => welcomed({ error: "too busy\x1b" }));
    expect(error).toBeInstanceOf(ConnectionFailed);
    expect(error.message).toBe("the server server.example refuses: too busy\\x1b");
    expect(error.hint).not.toBe("");
  });

  test.each([{ hashcash: { bits: 6 }, "x\x1b": {} }, ["hashcash", "x\x1b"]])(
    "with permissions of unknown kinds names them: %j",
    (methods) => {
      const error = caught(() => welcomed({ "permission-required": methods }));
      expect(error).toBeInstanceOf(ConnectionFailed);
      expect(error.message).toMatch(/does not support: hashcash, x\\x1b$/);
    },
  );

  test.each([{ none: {}, hashcash: {} }, {}, null])(
    "of a server that also serves without permission is accepted: %j",
    (methods) => {
      expect(welcomed({ "permission-required": methods }).isWelcomed).toBe(true);
    },
  );

  test("has STUN and TURN servers, and so may a later message", () => {
    const client = welcomed({ "dcsend-ice-servers": [{ urls: "stun:a" }] });
    expect(client.iceServers.map(({ urls }) => urls)).toEqual([["stun:a"]]);
    client.receive(json({ type: "ice-servers", servers: [{ urls: "stun:b" }] }));
    expect(client.iceServers.map(({ urls }) => urls)).toEqual([["stun:b"]]);
  });
});

describe("a refusal", () => {
  test("of the third side names the number", () => {
    const error = caught(() => opened().receive(json({ type: "error", error: "crowded" })));
    expect(error).toBeInstanceOf(CodeUsed);
    expect(error.message).toMatch("two others already use the number 7");
    expect(error.hint).toMatch("may still show this code");
    const ours = caught(() => opened("").receive(json({ type: "error", error: "crowded" })));
    expect(ours.hint).toBe("try again");
  });

  test("of another kind is shown escaped", () => {
    const text = json({ type: "error", error: "must \x1bbind first" });
    const error = caught(() => opened().receive(text));
    expect(error).toBeInstanceOf(ConnectionFailed);
    expect(error.message).toBe("the server server.example reports: must \\x1bbind first");
  });
});

describe("a violation of the protocol is one line with the server's name", () => {
  test.each([
    ...["", "{", "[]", "1", '"x"', "null", "{}", '{"type":1}', "[".repeat(60_000)],
    ...['{"type":"welcome"}', '{"type":"welcome","welcome":[]}', '{"type":"claimed"}'],
    ...['{"type":"claimed","mailbox":1}', json({ type: "claimed", mailbox: "m".repeat(101) })],
    ...[null, 1, "0", "0g", " 0", "00".repeat(4097)].map((body) => json(message("bb", "a0", body))),
    '{"type":"ice-servers"}',
  ])("text %#", (text) => {
    const error = caught(() => connected("7", WELCOME).receive(text));
    expect(error).toBeInstanceOf(RemoteProtocolError);
    expect(error.message).toMatch(/^the server server\.example violates the mailbox protocol: /);
    expect(error.hint).not.toBe("");
  });

  test.each(["0", "07", "1000000", "-1", "x", "", 7, null])("allocated: %j", (nameplate) => {
    const client = connected("", WELCOME);
    const error = caught(() => client.receive(json({ type: "allocated", nameplate })));
    expect(error).toBeInstanceOf(RemoteProtocolError);
    expect(error.message).toMatch("number of 1 to 6 digits");
  });

  test.each([{ type: "allocated", nameplate: "7" }, CLAIMED])("before welcome: $type", (early) => {
    const error = caught(() => connected("7").receive(json(early)));
    expect(error).toBeInstanceOf(RemoteProtocolError);
    expect(error.message).toMatch("comes before welcome");
  });

  test("more than 1000 messages between two pings", () => {
    const client = opened();
    const ack = json({ type: "ack" });
    for (let round = 0; round < 3; round++) {
      client.ping();
      for (let count = 0; count < 1000; count++) client.receive(ack);
    }
    expect(() => client.receive(ack)).toThrow("more than 1000 messages");
  });
});

test.each([
  { type: "ack" },
  { type: "surprise", x: [1] },
  { type: "nameplates" },
  { type: "toString" },
  { type: "allocated", nameplate: "9" },
  { type: "claimed", mailbox: "m2" },
  PONG,
])("what was not asked for changes nothing: $type", (text) => {
  const client = opened();
  expect(client.receive(json(text))).toEqual([]);
  expect([client.number, client.isOpen]).toEqual(["7", true]);
});

test("a pong before the mailbox is open sends nothing", () => {
  const client = connected("7", WELCOME);
  client.add("b0", bytes(1));
  expect(client.receive(json(PONG))).toEqual([]);
  expect(client.isCurrent).toBe(false);
});

describe("the end", () => {
  test("releases the number and closes with the mood", () => {
    const client = opened();
    expect(read(client.close("happy"))).toEqual([
      { type: "release" },
      { type: "close", mood: "happy" },
    ]);
    client.receive(json({ type: "closed" }));
    expect(client.isClosed).toBe(true);
  });

  test("without a mailbox sends nothing", () => {
    expect(new MailboxClient("s", "aa", "7").close("lonely")).toEqual([]);
  });
});

const VECTORS: readonly { comment: string; received: string[]; outcome: string }[] = JSON.parse(
  readFileSync("../tests/vectors/mailbox-inputs.json", "ascii"),
);

test.each(VECTORS)("texts of a server have the outcome of the vectors: $comment", (vector) => {
  const client = new MailboxClient("server.example", "aa", "7");
  const sent = client.connect();
  const receive = () => {
    for (const text of vector.received) sent.push(...client.receive(text));
  };
  if (vector.outcome === "ok") receive();
  else expect(caught(receive).message).not.toMatch(/\p{Surrogate}/u);
  expect([...sent, client.motd].join("")).not.toMatch(/\p{Surrogate}/u);
});
