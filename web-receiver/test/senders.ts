/** Senders in every state, and checks of their errors. */
import { expect } from "vitest";
import type { Entry } from "../src/entry.ts";
import { type DcsendError, RemoteProtocolError } from "../src/errors.ts";
import { Sender } from "../src/protocol/sender.ts";
import type { TransferState } from "../src/protocol/side.ts";
import {
  accept,
  BYE,
  bytes,
  COMPLETE,
  DECLINE,
  DIGEST,
  file,
  folder,
  hello,
  queued,
  verdict,
} from "./peers.ts";

export const HELLO = hello("receiver");
export const ENTRIES = [folder("d"), file("d/a", 5), file("d/b", 0)];

/** The calls that lead to each state from the one before. */
const WAY: [TransferState, (sender: Sender) => unknown][] = [
  ["new", () => {}],
  ["greeting", (sender) => sender.start()],
  ["offering", (sender) => sender.receive(HELLO)],
  ["sending", (sender) => sender.receive(accept())],
  [
    "sent",
    (sender) => [sender.data(1, 0, bytes("hello"), DIGEST), sender.data(2, 0, bytes(""), DIGEST)],
  ],
  [
    "completed",
    (sender) => [sender.receive(verdict([1, "ok"], [2, "ok"])), sender.receive(COMPLETE)],
  ],
  ["done", (sender) => sender.end()],
];
const ENDS: Partial<Record<TransferState, (sender: Sender) => unknown>> = {
  declined: (sender) => sender.receive(DECLINE),
  cancelled: (sender) => sender.cancel("interrupted"),
  failed: (sender) => expect(() => sender.receive("nonsense")).toThrow(RemoteProtocolError),
};

/** A sender in `state`; its messages have been taken. */
export function senderIn(state: TransferState, entries: readonly Entry[] = ENTRIES): Sender {
  const sender = new Sender("page/1");
  sender.offer(entries);
  const end = ENDS[state];
  for (const [step, act] of WAY) {
    act(sender);
    expect(sender.state).toBe(step);
    if (step === (end ? "offering" : state)) break;
  }
  end?.(sender);
  sender.messagesToSend();
  expect(sender.state).toBe(state);
  return sender;
}

/** Every further call throws the same. */
export function expectDead(sender: Sender, error: new (message: string) => DcsendError): void {
  const calls = [
    () => sender.receive(BYE),
    () => sender.data(1, 0, bytes("hello")),
    () => sender.abort(1, "gone"),
    () => sender.end(),
    () => sender.start(),
    () => sender.offer([]),
  ];
  for (const call of calls) expect(call).toThrow(error);
  sender.cancel("error");
  expect(sender.messagesToSend()).toEqual([]);
  expect(sender.sendable()).toBe(0);
}

/** The message is refused, the peer gets the reason, and every further call throws. */
export function expectRefused(sender: Sender, message: string | Uint8Array, reason: string): void {
  expect(() => sender.receive(message)).toThrow(reason);
  expect(sender.state).toBe("failed");
  expect(queued(sender)).toMatchObject([{ type: "cancel", reason: "protocol" }]);
  expectDead(sender, RemoteProtocolError);
}
