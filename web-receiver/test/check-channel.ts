/**
 * The contract of src/peers/contract.ts as a list of checks, for every implementation.
 *
 * As tests/support/check_channel.py. A check gets both ends of a new connection and may close them.
 */
import { expect } from "vitest";
import { ConnectionFailed, RemoteProtocolError } from "../src/errors.ts";
import { type Channel, type Connection, LABELS, MAX_QUEUED } from "../src/peers/contract.ts";

/** One check of the contract; its name states the requirement. */
export type Check = (left: Connection, right: Connection) => Promise<void>;

/** Bytes of the largest message that the protocol sends. */
const FRAME = 64_960;

async function send(channel: Channel, message: Uint8Array<ArrayBuffer> | string): Promise<void> {
  while (!channel.send(message)) await channel.writable();
}

async function take(channel: Channel, count: number): Promise<(Uint8Array | string)[]> {
  const taken: (Uint8Array | string)[] = [];
  while (taken.length < count) taken.push(await channel.receive());
  return taken;
}

/** Send until there is no room; return the number of messages. */
function fill(channel: Channel): number {
  for (let taken = 0; taken < 1000; taken++) {
    if (!channel.send(new Uint8Array(FRAME).fill(taken))) return taken;
  }
  throw new Error("send never returns false");
}

/** Expect a whole frame of this byte; `toEqual` takes a second for so many. */
async function expectFrame(channel: Channel, byte: number): Promise<void> {
  const message = await channel.receive();
  if (typeof message === "string") throw new Error("text in place of bytes");
  expect(Buffer.compare(message, new Uint8Array(FRAME).fill(byte))).toBe(0);
}

async function exactlyThreeChannels(left: Connection, right: Connection): Promise<void> {
  for (const end of [left, right]) {
    expect(Object.keys(end.channels).sort()).toEqual([...LABELS].sort());
    for (const label of LABELS) expect(end.channels[label].label).toBe(label);
  }
}

async function channelsAreApart(left: Connection, right: Connection): Promise<void> {
  for (const label of LABELS) await send(left.channels[label], label);
  for (const label of [...LABELS].reverse()) {
    expect(await right.channels[label].receive()).toBe(label);
  }
}

async function orderIsKept(left: Connection, right: Connection): Promise<void> {
  const sent = Array.from({ length: 3000 }, (_, number) => String(number));
  for (const message of sent) await send(left.channels.control, message);
  expect(await take(right.channels.control, sent.length)).toEqual(sent);
}

async function textAndBytesStayWhatTheyAre(left: Connection, right: Connection): Promise<void> {
  const messages = ["süß 文件 🎉", Uint8Array.of(0, 255), "1", Uint8Array.of(0x31)];
  for (const message of messages) await send(left.channels.data, message);
  expect(await take(right.channels.data, messages.length)).toEqual(messages);
}

async function emptyMessagesArrive(left: Connection, right: Connection): Promise<void> {
  const messages = ["", new Uint8Array(0), "end"];
  for (const message of messages) await send(left.channels.text, message);
  expect(await take(right.channels.text, messages.length)).toEqual(messages);
}

async function largeMessagesArriveWhole(left: Connection, right: Connection): Promise<void> {
  for (let byte = 0; byte < 8; byte++) {
    await send(left.channels.data, new Uint8Array(FRAME).fill(byte));
  }
  for (let byte = 0; byte < 8; byte++) await expectFrame(right.channels.data, byte);
  expect(left.channels.data.maxMessageSize).toBeGreaterThanOrEqual(FRAME);
}

async function sentBytesMayBeReused(left: Connection, right: Connection): Promise<void> {
  const buffer = Uint8Array.of(1);
  await send(left.channels.data, buffer);
  buffer[0] = 2;
  expect(await right.channels.data.receive()).toEqual(Uint8Array.of(1));
}

async function partOfABufferIsSentAlone(left: Connection, right: Connection): Promise<void> {
  await send(left.channels.data, Uint8Array.of(1, 2, 3, 4).subarray(1, 3));
  expect(await right.channels.data.receive()).toEqual(Uint8Array.of(2, 3));
}

async function aFullBufferRefusesAndLosesNothing(
  left: Connection,
  right: Connection,
): Promise<void> {
  const channel = left.channels.data;
  const taken = fill(channel);
  expect(channel.send(Uint8Array.of(0))).toBe(false);
  for (let number = 0; number < taken; number++) await expectFrame(right.channels.data, number);
  await channel.writable();
  expect(channel.send("next")).toBe(true);
  expect(await right.channels.data.receive()).toBe("next");
}

async function everybodyWhoWaitsForRoomGetsIt(left: Connection): Promise<void> {
  fill(left.channels.data);
  await Promise.all([left.channels.data.writable(), left.channels.data.writable()]);
}

async function bothDirectionsAtOnce(left: Connection, right: Connection): Promise<void> {
  const flood = async (channel: Channel) => {
    for (let count = 0; count < 24; count++) await send(channel, new Uint8Array(FRAME));
  };
  const ends = [left.channels.data, right.channels.data];
  await Promise.all(ends.flatMap((end) => [flood(end), take(end, 24)]));
}

async function receiveMayBeCalledBeforeTheMessage(
  left: Connection,
  right: Connection,
): Promise<void> {
  const waiting = right.channels.control.receive();
  await send(left.channels.control, "one");
  await send(left.channels.control, "two");
  expect([await waiting, await right.channels.control.receive()]).toEqual(["one", "two"]);
}

async function whatArrivedIsHandedOutAfterTheEnd(
  left: Connection,
  right: Connection,
): Promise<void> {
  for (const message of ["0", "1", "2"]) await send(left.channels.control, message);
  await send(left.channels.text, "behind");
  await right.channels.text.receive();
  left.close();
  await expect(right.channels.text.receive()).rejects.toThrow(ConnectionFailed);
  expect(await take(right.channels.control, 3)).toEqual(["0", "1", "2"]);
  await expect(right.channels.control.receive()).rejects.toThrow(ConnectionFailed);
}

async function afterTheEndNothingGoes(left: Connection, right: Connection): Promise<void> {
  const waiting = expect(right.channels.data.receive()).rejects.toThrow(ConnectionFailed);
  left.close();
  await waiting;
  for (const end of [left, right]) {
    for (const label of LABELS) {
      if (end === left || label !== "data") {
        await expect(end.channels[label].receive()).rejects.toThrow(ConnectionFailed);
      }
      expect(() => end.channels[label].send("too late")).toThrow(ConnectionFailed);
      await expect(end.channels[label].writable()).rejects.toThrow(ConnectionFailed);
    }
  }
}

async function theEndWakesWhoWaitsForRoom(left: Connection): Promise<void> {
  fill(left.channels.data);
  const waiting = left.channels.data.writable();
  left.close();
  await expect(waiting).rejects.toThrow(ConnectionFailed);
  expect(() => left.channels.data.send("")).toThrow(ConnectionFailed);
}

async function closeCanBeRepeated(left: Connection, right: Connection): Promise<void> {
  for (const end of [left, left, right, left]) end.close();
}

async function aPeerThatIgnoresTheWindowIsCutOff(
  left: Connection,
  right: Connection,
): Promise<void> {
  const size = left.channels.data.maxMessageSize;
  for (let sent = 0; sent <= MAX_QUEUED; sent += size) {
    await send(left.channels.data, new Uint8Array(size));
  }
  await send(left.channels.control, "behind");
  expect(await right.channels.control.receive()).toBe("behind");
  await expect(right.channels.data.receive()).rejects.toThrow(RemoteProtocolError);
}

/** The whole contract. */
export const CHECKS: readonly Check[] = [
  exactlyThreeChannels,
  channelsAreApart,
  orderIsKept,
  textAndBytesStayWhatTheyAre,
  emptyMessagesArrive,
  largeMessagesArriveWhole,
  sentBytesMayBeReused,
  partOfABufferIsSentAlone,
  aFullBufferRefusesAndLosesNothing,
  everybodyWhoWaitsForRoomGetsIt,
  bothDirectionsAtOnce,
  receiveMayBeCalledBeforeTheMessage,
  whatArrivedIsHandedOutAfterTheEnd,
  afterTheEndNothingGoes,
  theEndWakesWhoWaitsForRoom,
  closeCanBeRepeated,
  aPeerThatIgnoresTheWindowIsCutOff,
];
