/** When a silent connection is dialed again, and which connection is used then. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CodeUsed } from "../src/errors.ts";
import { accepted, exchange, Listener } from "./lost-links.ts";

describe("a silent connection", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const INTERRUPTED = { type: "warning", kind: "interrupted", message: "", hint: "" };

  /** The first connection of a transfer that is silent from now on, and the others. */
  async function silent(listener = new Listener(), hasAccept = true) {
    const { connection, events } = await accepted(listener);
    if (hasAccept) {
      listener.send("control", "{}");
      await connection.channels.control.receive();
    }
    await vi.advanceTimersByTimeAsync(0);
    const [link] = listener.links;
    if (link === undefined) throw new Error("no link");
    link.isSilent = true;
    return { listener, connection, events, link };
  }

  test("is dialed again after 2 s of silence, while it is used", async () => {
    const { listener, connection, events } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(1999);
    expect(listener.dials).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(listener.dials).toBe(1);
    expect(connection.channels.data.send("still")).toBe(true);
    await vi.advanceTimersByTimeAsync(2900);
    expect([connection.isInterrupted, events]).toEqual([false, []]);
    expect(listener.arrived.data).toEqual(["still"]);
    await vi.advanceTimersByTimeAsync(200);
    expect([connection.isInterrupted, events]).toEqual([true, [INTERRUPTED]]);
    connection.close();
  });

  test("is dialed again after 5 s if the peer may not have the answer of this page", async () => {
    const { listener, connection } = await silent(new Listener(), false);
    await vi.advanceTimersByTimeAsync(4900);
    expect(listener.dials).toBe(0);
    await vi.advanceTimersByTimeAsync(100);
    expect(listener.dials).toBe(1);
    connection.close();
  });

  test("is dialed again before 5 s at most three times in a minute, if the path answers", async () => {
    const { listener, connection, events, link } = await silent();
    listener.isThere = false;
    const fall = async (seconds: number) => {
      link.isSilent = true;
      await vi.advanceTimersByTimeAsync(seconds * 1000);
      link.isSilent = false;
      await vi.advanceTimersByTimeAsync(1000);
      return listener.dials;
    };
    const dials: number[] = [];
    for (let time = 0; time < 4; time += 1) dials.push(await fall(3));
    expect(dials).toEqual([1, 2, 3, 3]);
    expect(await fall(5)).toBe(4);
    expect(events).toEqual([INTERRUPTED]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await fall(3)).toBe(5);
    connection.close();
  });

  test("a refusal ends nothing while the path may answer", async () => {
    const { listener, connection, link } = await silent();
    listener.refusal = new CodeUsed("the code was used");
    await vi.advanceTimersByTimeAsync(4900);
    expect(listener.dials).toBe(2);
    await vi.advanceTimersByTimeAsync(2000);
    expect(listener.dials).toBe(3);
    link.isSilent = false;
    await exchange(connection, listener, 10);
    connection.close();
  });

  test("is dialed each 2 s, at most two at once, though none is answered", async () => {
    const { listener, connection } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(2000);
    for (let dials = 1; dials < 30; dials += 1) {
      expect(listener.dials).toBe(dials);
      await vi.advanceTimersByTimeAsync(2000);
    }
    expect(listener.most).toBe(2);
    connection.close();
  });

  test("another connection takes over within 5 s without a warning", async () => {
    const { listener, connection, events } = await silent();
    await vi.advanceTimersByTimeAsync(2000);
    expect(listener.dials).toBe(1);
    expect(connection.link).toBe(listener.links[1]);
    await exchange(connection, listener, 10);
    expect([listener.dials, events]).toEqual([1, []]);
    connection.close();
  });

  test("gives the attempts up if the path answers", async () => {
    const { listener, connection, events, link } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(4500);
    expect([listener.dials, listener.open]).toEqual([2, 2]);
    link.isSilent = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(listener.open).toBe(0);
    await exchange(connection, listener, 10);
    expect([listener.dials, events, connection.link]).toEqual([2, [], link]);
    connection.close();
  });

  test("sends no Resume if the path has answered during the handshake of another one", async () => {
    const { listener, connection, link } = await silent();
    listener.delay = 0.1;
    await vi.advanceTimersByTimeAsync(2000);
    expect(listener.dials).toBe(1);
    link.isSilent = false;
    await vi.advanceTimersByTimeAsync(110);
    expect(listener.links[1]?.isClosed).toBe(true);
    await exchange(connection, listener, 10);
    expect([listener.dials, connection.link]).toEqual([1, link]);
    connection.close();
  });

  test("goes on after it was interrupted, if the path answers", async () => {
    const { listener, connection, events, link } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(9000);
    expect(connection.isInterrupted).toBe(true);
    link.isSilent = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(connection.isInterrupted).toBe(false);
    await exchange(connection, listener, 10);
    expect(events).toEqual([INTERRUPTED]);
    connection.close();
  });

  test("is not dialed again while messages are acknowledged, though nothing else arrives", async () => {
    const { listener, connection, link } = await silent();
    let [acknowledged, sent] = [2, 2];
    const { send } = link.channels.control;
    link.channels.control.send = (message) => {
      sent += 1;
      setTimeout(() => {
        acknowledged = sent;
      }, 800);
      return send.call(link.channels.control, message);
    };
    link.received = async () => acknowledged;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(listener.dials).toBe(0);
    expect(listener.receipts.length).toBeLessThan(40);
    connection.close();
  });

  test("is dialed again at once after the page was suspended", async () => {
    const { listener, connection } = await silent();
    await vi.advanceTimersByTimeAsync(250);
    const now = vi.spyOn(performance, "now");
    const later = performance.now() + 60_000;
    now.mockImplementation(() => later);
    await vi.advanceTimersByTimeAsync(250);
    expect(listener.dials).toBe(1);
    now.mockRestore();
    connection.close();
  });

  /** Let the next connection of a listener have a control channel that carries nothing. */
  function clogNext(listener: Listener): void {
    const { pair } = listener;
    listener.pair = () => {
      const link = pair.call(listener);
      link.channels.control.clog();
      listener.pair = pair;
      return link;
    };
  }

  test("ends the other attempts when one has connected", async () => {
    const { listener, connection } = await silent();
    clogNext(listener);
    listener.delay = 3;
    await vi.advanceTimersByTimeAsync(8500);
    expect([listener.dials, listener.links.length]).toEqual([4, 2]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(connection.link).toBe(listener.links[2]);
    connection.close();
  });

  test("a later connection takes over from one on which Resume is not answered", async () => {
    const { listener, connection } = await silent();
    clogNext(listener);
    await vi.advanceTimersByTimeAsync(2000);
    expect([listener.dials, connection.isInterrupted]).toEqual([1, true]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(connection.link).toBe(listener.links[2]);
    expect(listener.links[1]?.isClosed).toBe(true);
    await exchange(connection, listener, 10);
    connection.close();
  });
});
