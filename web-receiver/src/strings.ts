/**
 * Every English sentence that a person reads on the page, but for what an error says of itself
 * and the one for browsers without JavaScript. Parameters are texts that are safe to show.
 *
 * Imports only types.
 */
import type { ErrorKind } from "./errors.ts";
import type { Destination } from "./files/operations.ts";

/** The sentence that most troubles end in: a code works once. */
export const AGAIN = "Start dcsend again on the other side and use the new code.";
/** In its place, where nothing had been accepted. */
export const STILL = "Nothing was accepted, so the code still works: try again.";
const KEEP_OPEN = "Keep this page in front and the screen on while files are on the way.";

/** Texts that stand in index.html, by the value of `data-text`. */
export const fixed: Readonly<Record<string, string>> = {
  tagline: "files, from device to device",
  code: "Code or link",
  connect: "Connect",
  how: "Where does the code come from?",
  howSend: "To receive here, run this on the other device:",
  howReceive: "To send from here, run this there:",
  howThen: "It shows a QR code to scan, and the same code as text to paste here.",
  two: "No direct path? Use two codes",
  ownCode: "1. Give this code to the other side",
  copy: "Copy",
  ownThen: "Paste it where one of these asks for it:",
  or: "or",
  answer: "2. Paste the code that is shown there then",
  servers: "Servers",
  aboutServers:
    "Asked for the public address of this device, and told nothing else; a turn: server relays what is encrypted. One on each line, or none.",
  renew: "Make a new code",
  files: "Choose files",
  folder: "Choose a folder",
  drop: "or drop them anywhere on this page, or paste them",
  all: "All",
  differently: "Save differently",
  accept: "Accept",
  decline: "Decline",
  send: "Send",
  save: "Save again",
  share: "Share",
  retry: "Try again",
  restart: "Use another code",
  stop: "Stop",
  tell: "Tell me when it is done",
  stay: KEEP_OPEN,
  chat: "Messages",
  chatField: "Message to the other side",
  chatSend: "Send",
  details: "Details",
  digests: "SHA-256 of each file",
  random: "Signs of life, sent by both sides every few seconds",
};

/** Texts with parameters, and those of one moment. */
export const strings = {
  paste: "Receive or send files",
  aboutPaste:
    "dcsend carries files directly between two devices, encrypted end to end. There is no server in between and nothing to sign up for.",
  used: "This page was loaded again, and its code is used up: each one works once. What was complete is where it was saved. For the rest, start dcsend again on the other side and use the new code.",
  exchanging: "Two codes",
  aboutExchanging:
    "For networks in which one code is not enough. Each side gives its code to the other, over any messenger; there is no hurry.",
  making: "Making the code",
  connecting: "Connecting",
  aboutConnecting: "Looking for the other device.",
  outOfSight: "This page connects as soon as it is in front.",
  met: "Connected. The other side is about to say what it offers.",
  offered: (what: string) => `Accept ${what}?`,
  from: (peer: string, address: string) =>
    `Offered by ${peer}${address === "" ? "" : ` at ${address}`}`,
  more: (count: string) => `and ${count} more`,
  hiddenNames: (names: string) => `Hidden: ${names}`,
  noneChosen: "Nothing is chosen.",
  doubt: (size: string) =>
    `This browser keeps files in memory until they are complete, and ${size} may be too much: then the page stops and nothing is saved. Safer: take fewer files at a time, open the link in another browser, or run dcsend receive on a computer.`,
  choosing: "Choose what to send",
  to: (peer: string) => `To ${peer}`,
  reading: "Looking through what you chose.",
  remove: "Remove",
  removeNamed: (name: string) => `Remove ${name}`,
  waiting: "Waiting for a yes",
  aboutWaiting: "The other side sees what you offer, and has to accept it.",
  receiving: "Receiving",
  sending: "Sending",
  of: (part: string, total: string) => `${part} of ${total}`,
  left: (time: string) => `${time} left`,
  rate: (size: string) => `${size}/s`,
  checking: "checking and saving the last of it",
  willTell: "You will be told",
  wontTell: "The browser doesn't allow it",
  received: "Received and verified",
  sent: "Sent and verified",
  verified: "The SHA-256 digests of both sides agree.",
  partly: "Not everything arrived",
  summary: (what: string, size: string, time: string) => `${what}, ${size} in ${time}`,
  rated: (summary: string, rate: string) => `${summary}, ${rate}.`,
  savedAs: (name: string) => `saved as ${name}`,
  handed: (name: string) => `${name} was handed to your browser's downloads.`,
  copy: "Copy",
  copied: "Copied",
  snippet: "Text from the other side",
  you: "You",
  them: "Other side",
  nothing: "nothing",
  everything: "Everything",
  unknownSize: "unknown size",
  folder: "folder",
  route: "Connection",
  peer: "Other side runs",
  here: "This page is",
  over: (way: string, family: string) => `${way} over ${family}`,
  roundTrip: (time: string) => `${time} there and back`,
  switchCode: "A transfer is running. Stop it, and use the new code?",
} as const;

/** The ways to save. */
export const destinations: Readonly<Record<Destination["type"], string>> = {
  picker: "Where I say, written straight there",
  folder: "Into a folder that I choose",
  private: "Into my downloads, when it is complete",
  stream: "Into my downloads, as it arrives",
  memory: "Into my downloads, kept in memory until then",
};

/** The paths of a connection. */
export const ways: Readonly<Record<string, string>> = {
  direct: "direct",
  relayed: "through a relay",
};

/** One of them, and several. */
export const counts = {
  file: ["file", "files"],
  folder: ["folder", "folders"],
  link: ["link", "links"],
  text: ["text", "texts"],
} as const;

/** How a file ended. */
export const verdicts = {
  ok: "verified",
  mismatch: "damaged, not kept",
  failed: "failed",
  skipped: "left out",
} as const;

/** What the tab and the notification say at the end. */
export const endings = { done: "Done", partly: "Incomplete", failed: "Failed" } as const;

/** What an error means where its kind alone doesn't tell. */
export type Situation =
  | "unsupported"
  | "framed"
  | "unreachable"
  | "offline"
  | "suspended"
  | "peer-gone"
  | "declined";

/** What went wrong, and what to do about it, a sentence each. */
interface Trouble {
  readonly title: string;
  readonly advice: readonly string[];
}

/** What a person is told for each kind of error; chosen by `explain` in wording.ts. */
export const troubles: Readonly<Record<ErrorKind | Situation, Trouble>> = {
  unsupported: {
    title: "This browser can't connect",
    advice: [
      "It has no WebRTC, or WebRTC is switched off.",
      "Open the link in a current Chrome, Firefox, Safari or Edge, and not inside another app.",
      "Or run dcsend receive with the code on a computer.",
    ],
  },
  framed: {
    title: "This page does not work inside another page",
    advice: [
      "Another site shows it in a frame, and could make you accept something that you don't see.",
      "Open the link by itself, in a tab of its own.",
    ],
  },
  code: {
    title: "This is not a complete code",
    advice: ["Scan the QR code again, or copy the whole line, from dc to its end."],
  },
  "code-expired": { title: "The code has expired", advice: [AGAIN] },
  "code-used": { title: "The code was used already", advice: ["Each code works once.", AGAIN] },
  authentication: { title: "The other side is not the one of this code", advice: [AGAIN] },
  unreachable: {
    title: "No connection",
    advice: [
      "Is dcsend still running there, with this code on its screen?",
      "Are both devices in the same network? Mobile data, a guest Wi-Fi and a VPN keep them apart.",
      "Was the code used before, by you or by somebody else? Each one works once. Then start dcsend again for a new one.",
    ],
  },
  offline: {
    title: "This device is offline",
    advice: ["Connect it to the network that the other device is in.", AGAIN],
  },
  timeout: { title: "The other side took too long", advice: [AGAIN] },
  connection: {
    title: "The connection was lost",
    advice: ["Check the network of both devices.", AGAIN],
  },
  suspended: {
    title: "The browser put this page to sleep",
    advice: [`The connection was lost meanwhile. ${KEEP_OPEN}`, AGAIN],
  },
  "peer-gone": {
    title: "The other side can't be reached any more",
    advice: [
      "Its program was ended, or one of the two devices sleeps, or has left or changed its network.",
      "After about 16 seconds of silence a browser ends a connection, even if the network comes back.",
      AGAIN,
    ],
  },
  refused: { title: "The other side ended it", advice: ["Ask the person there.", AGAIN] },
  declined: { title: "Declined", advice: ["Nothing was received, and the other side knows."] },
  interrupted: { title: "Stopped", advice: ["What was complete is safe.", AGAIN] },
  source: {
    title: "It could not be read",
    advice: ["It was changed, moved or locked meanwhile. Choose it again.", AGAIN],
  },
  destination: { title: "It could not be saved", advice: ["Save it differently.", AGAIN] },
  integrity: {
    title: "Damaged bytes arrived",
    advice: ["Nothing of the damaged file was kept.", AGAIN],
  },
  version: {
    title: "The two sides don't fit together",
    advice: ["Use the newest dcsend on both sides."],
  },
  partly: {
    title: strings.partly,
    advice: ["What is marked as verified is safe. Send the rest again."],
  },
  protocol: {
    title: "The other side broke the rules",
    advice: ["Nothing more was accepted from it."],
  },
  usage: { title: "That can't be done", advice: [AGAIN] },
  bug: { title: "Something went wrong", advice: ["This is a bug in dcsend; please report it."] },
  unexpected: { title: "Something went wrong", advice: ["Load this page again.", AGAIN] },
};
