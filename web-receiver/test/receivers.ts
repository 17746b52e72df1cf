/** Receivers in every state, and checks of their errors. */
import { expect } from "vitest";
import type { Bytes } from "../src/content.ts";
import { RemoteProtocolError } from "../src/errors.ts";
import { encodeData } from "../src/protocol/frames.ts";
import { Receiver } from "../src/protocol/receiver.ts";
import type { TransferState } from "../src/protocol/side.ts";
import { BYE, bytes, DIGEST, hello, MANIFEST, queued } from "./peers.ts";

export const HELLO = hello("sender");
/** The window of these receivers, in bytes. */
export const WINDOW = 400;
export const NONE = new Map<number, never>();

/** The calls that lead to each state from the one before. */
const WAY: [TransferState, (receiver: Receiver) => unknown][] = [
  ["new", () => {}],
  ["greeting", (receiver) => receiver.start()],
  ["waiting", (receiver) => receiver.receive(HELLO)],
  ["deciding", (receiver) => receiver.receive(MANIFEST)],
  ["receiving", (receiver) => receiver.accept(NONE)],
  [
    "received",
    (receiver) => [
      receiver.receiveFrame(encodeData(1, 0, bytes("hello"), DIGEST)),
      receiver.receiveFrame(encodeData(2, 0, bytes(""), DIGEST)),
    ],
  ],
  [
    "completed",
    (receiver) => [
      receiver.verdict(1, "ok"),
      receiver.verdict(2, "ok"),
      receiver.written(receiver.received),
    ],
  ],
  ["done", (receiver) => receiver.receive(BYE)],
];
const ENDS: Partial<Record<TransferState, (receiver: Receiver) => unknown>> = {
  declined: (receiver) => receiver.decline("declined"),
  cancelled: (receiver) => receiver.cancel("interrupted"),
  failed: (receiver) => expect(() => receiver.receive("nonsense")).toThrow(RemoteProtocolError),
};

/** A receiver in `state`; its messages have been taken. */
export function receiverIn(state: TransferState): Receiver {
  const receiver = new Receiver("page/1", WINDOW);
  const end = ENDS[state];
  for (const [step, act] of WAY) {
    act(receiver);
    expect(receiver.state).toBe(step);
    if (step === (end ? "deciding" : state)) break;
  }
  end?.(receiver);
  receiver.messagesToSend();
  expect(receiver.state).toBe(state);
  return receiver;
}

/** The peer gets one message, and every further call throws the same. */
export function expectFailed(
  receiver: Receiver,
  error: new (message: string) => Error,
  reason: string,
) {
  expect(receiver.state).toBe("failed");
  expect(queued(receiver).at(-1)).toMatchObject({ type: "cancel", reason });
  const calls = [
    () => receiver.receive(BYE),
    () => receiver.receiveFrame(encodeData(1, 0, bytes("hello"))),
    () => receiver.verdict(1, "ok"),
    () => receiver.accept(NONE),
    () => receiver.decline("declined"),
  ];
  for (const call of calls) expect(call).toThrow(error);
  receiver.cancel("error");
  expect(receiver.messagesToSend()).toEqual([]);
}

/** A control message is refused. */
export function expectRefused(
  receiver: Receiver,
  message: string | Uint8Array,
  reason: string,
): void {
  expect(() => receiver.receive(message)).toThrow(reason);
  expectFailed(receiver, RemoteProtocolError, "protocol");
}

/** A data message is refused. */
export function expectFrameRefused(
  receiver: Receiver,
  frame: Bytes | string,
  reason: string,
): void {
  expect(() => receiver.receiveFrame(frame)).toThrow(reason);
  expectFailed(receiver, RemoteProtocolError, "protocol");
}
