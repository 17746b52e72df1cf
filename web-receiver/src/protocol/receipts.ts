/**
 * How many messages of each channel have arrived: what is sent again over the next connection. As
 * `dcsend/protocol/receipts.py`.
 */
import { RemoteProtocolError } from "../errors.ts";
import { AMOUNT } from "./entries.ts";
import { checkDepth, Fields, parse } from "./strict.ts";

/** Messages that have arrived since the first connection of a transfer, by channel. */
export interface Receipt {
  readonly control: number;
  readonly data: number;
  readonly text: number;
}

/** `received` comes now and then, `resume` is the first message of a next connection. */
export type ReceiptName = "received" | "resume";

/** The message of a side that loses its state. */
export const AWAY = '{"type":"away"}';

/** Return whether a message of the control channel is one of these, valid or not. */
export function isReceipt(message: string | Uint8Array): message is string {
  return typeof message === "string" && /^{"type":"(received|resume)"/.test(message);
}

/** Return the message. */
export function encodeReceipt(type: ReceiptName, receipt: Receipt): string {
  return JSON.stringify({ type, ...receipt });
}

/** Read a message. Throws RemoteProtocolError: it is another one than `name`, or not valid. */
export function readReceipt(name: ReceiptName, message: string | Uint8Array): Receipt {
  const values = isReceipt(message) ? parse(message) : new Map();
  checkDepth(name, values);
  if (values.get("type") !== name) {
    throw new RemoteProtocolError(`a control message came in place of ${name}`);
  }
  const fields = new Fields(name, values);
  const count = (label: keyof Receipt) => fields.read(label, AMOUNT);
  return { control: count("control"), data: count("data"), text: count("text") };
}
