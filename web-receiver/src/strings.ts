/**
 * All English text of the page, except messages of errors and the text for browsers without
 * JavaScript. Parameters are escaped texts.
 *
 * Imports only types.
 */
import type { ErrorKind } from "./errors.ts";
import type { Advice } from "./files/capabilities.ts";
import type { Destination } from "./files/contract.ts";

/** The last advice for most errors, since a code works once. */
export const AGAIN = "Start dcsend again on the other side and use the new code.";
/** In place of AGAIN, if nothing was accepted. */
export const STILL = "Nothing was accepted, so the code still works: try again.";
/** What is kept of a transfer that was stopped. */
export const KEPT = "Files that are marked as verified are complete.";
/** In place of KEPT, if no file is complete. */
export const NONE = "No file was complete.";
const KEEP_OPEN = "Keep this page visible and the screen on during the transfer.";

/** Texts of the elements in index.html, by the value of `data-text`. */
export const fixed: Readonly<Record<string, string>> = {
  tagline: "files, from device to device",
  code: "Code or link",
  connect: "Connect",
  showSend: "Send files with a code",
  showReceive: "Receive files with a code",
  showCode: "Or show a code here",
  server: "This page names no rendezvous server. Enter a host name, or public:",
  showHow: "The other side enters it: on this page on another device, or in a terminal.",
  scan: "Or scan this with a phone, or open the link there: it contains the code.",
  copyLink: "Copy link",
  terminal: "In a terminal:",
  another: "Show a new code",
  copied: "Copied",
  how: "Where does the code come from?",
  howSend: "To receive here, run this on the other device:",
  howReceive: "To send from here, run this on the other device:",
  howThen:
    "dcsend there shows a QR code to scan, and a code to enter here, such as 7-walrus-umbrella.",
  two: "The other device can't be reached? Use two codes",
  ownCode: "1. Give this code to the other side",
  copy: "Copy",
  ownThen: "On the other side, run one of these and paste the code:",
  or: "or",
  answer: "2. Paste the code that the other side then shows",
  servers: "Servers",
  aboutServers:
    "STUN servers report the public address of this device; TURN servers (turn:) relay the encrypted data. One per line, or none. Those that a rendezvous server offers are used, too.",
  renew: "Create a new code",
  files: "Choose files",
  folder: "Choose a folder",
  drop: "or drop them anywhere on this page, or paste them",
  all: "All",
  accept: "Accept",
  decline: "Decline",
  send: "Send",
  share: "Share",
  existingRename: "Keep both",
  existingOverwrite: "Replace them",
  existingSkip: "Leave these out",
  existingBack: "Back",
  retry: "Try again",
  restart: "Back to the start",
  stop: "Stop",
  notify: "Notify me when it is done",
  stay: KEEP_OPEN,
  chat: "Messages",
  chatField: "Message to the other side",
  chatSend: "Send message",
  details: "Details",
  digests: "SHA-256 of each file",
  random: "Keep-alive messages, sent by both sides every few seconds",
};

/** Texts with parameters, and texts of single states. */
export const strings = {
  paste: "Receive or send files",
  aboutPaste:
    "dcsend sends files from device to device, encrypted end to end. No server stores or reads the files, and there is no account.",
  exchanging: "Two codes",
  aboutExchanging:
    "For networks in which one code is not enough. Send your code to the other side, for example in a messenger, and enter the code that it shows. A terminal waits for an hour for your code, unless it was started with --expires.",
  making: "Creating the code",
  showing: "Enter this code on the other side",
  aboutShowing: {
    sender: "On this page on another device, or in a terminal. Then choose here what to send.",
    receiver:
      "On this page on another device, or in a terminal. You see what is offered before anything is saved.",
  },
  shown: "The code works once, for an hour at most, and only while this page is open.",
  copies: "Click the code to copy it.",
  qr: "QR code of the link",
  wrong: "Wrong codes were entered",
  wrongCodes: "Three in a row. Either the code was misheard, or another person tries to guess it.",
  connecting: "Connecting",
  aboutConnecting: "Looking for the other device.",
  outOfSight: "This page connects as soon as it is visible.",
  connected: "Connected",
  met: "Waiting for the offer of the other side.",
  offered: (what: string) => `Accept ${what}?`,
  offeredNone: (what: string) => `Accept none of ${what}?`,
  acceptPart: (what: string) => `Accept ${what}`,
  sendPart: (what: string) => `Send ${what}`,
  filesMore: "Add files",
  aComputer: "a computer",
  aBrowser: "a browser",
  device: "Other device",
  from: (peer: string, address: string) =>
    `Offered by ${peer}${address === "" ? "" : ` at ${address}`}`,
  more: (count: string) => `and ${count} more`,
  hiddenNames: (names: string) => `Hidden, perhaps settings of programs: ${names}`,
  leftOut: (what: string) => `Not sent: ${what}.`,
  unreadable: (count: string) => `${count} unreadable or with an unusable name`,
  noneChosen: "Nothing is selected.",
  doubt: (size: string) =>
    `This browser keeps files in memory until they are complete, and ${size} may be too much. Then the page stops, and incomplete files are lost.`,
  saveEach:
    "They go to your downloads one by one, each as soon as it has arrived. The browser may ask whether this page may download several files, or ask for each of them: allow it.",
  saveZip: (name: string) => `The files arrive as one zip: ${name}.`,
  saveFolderZip: (name: string) =>
    `From this page the browser can't save a folder. It arrives as one zip: ${name}.`,
  saveInFolder: "When you accept, the browser asks for the folder.",
  saveThere: "When you accept, the browser asks for name and place.",
  differently: "Save differently",
  howToSave: "Save them",
  oneByOne: "One by one",
  asZip: "As one zip",
  wayTo: (form: string, way: string) => `${form}. ${way}`,
  handing:
    "The files go to your downloads one by one. The browser may ask whether this page may download several files, or ask for each of them: allow it, and keep this page open until all are there.",
  allThere:
    "Check that all of them are in your downloads before you close this page. Files that the browser has blocked can be saved again here.",
  save: "Save",
  saveNamed: (name: string) => `Save ${name}`,
  saveAgain: "Save again",
  saveNamedAgain: (name: string) => `Save ${name} again`,
  saveAll: (count: string) => `Save all ${count} files`,
  saveOthers: (count: string) => `Save the other ${count}`,
  saveAllAgain: "Save all again",
  handedOf: (part: string, whole: string) =>
    `${part} of ${whole} files were handed to your browser's downloads.`,
  leaveUnsaved: "Files that you have received are not saved yet. Leave them, and use another code?",
  existing: (files: string, folder: string) => `Already in ${folder}: ${files}`,
  choosing: "Choose what to send",
  to: (peer: string) => `To ${peer}`,
  reading: "Reading the list of files.",
  notSent: (what: string) => `can't be sent: ${what}`,
  exists: "exists on the other side",
  existsOf: (count: number) => (count === 1 ? "1 exists there" : `${count} exist there`),
  markedExist:
    "The marked files exist on the other side. Leave them out, or ask the person there to start dcsend again with --rename or --overwrite, and use the new code.",
  leaveOutExisting: (files: string) => `Leave out ${files}`,
  remove: "Remove",
  removeNamed: (name: string) => `Remove ${name}`,
  waiting: "Waiting for the other side to accept",
  aboutWaiting: "The other side sees what you offer and must accept it.",
  receiving: "Receiving",
  sending: "Sending",
  of: (part: string, total: string) => `${part} of ${total}`,
  left: (time: string) => `${time} left`,
  rate: (size: string) => `${size}/s`,
  silent:
    "No messages from the other side. If that lasts, the transfer ends after half a minute at most.",
  interrupted:
    "The connection was lost. This page tries to connect again, for ten minutes at most.",
  checking: "verifying and saving the rest",
  willNotify: "You will be notified",
  wontNotify: "The browser does not allow notifications",
  received: "Received and verified",
  sent: "Sent and verified",
  verified: "The SHA-256 digests of both sides agree.",
  partly: "Not everything arrived",
  stopped: (part: string) => `stopped at ${part}`,
  summary: (what: string, size: string, time: string) => `${what}, ${size} in ${time}`,
  rated: (summary: string, rate: string) => `${summary}, ${rate}.`,
  savedAs: (name: string) => `as ${name}`,
  savedIn: (folder: string) => `in ${folder}`,
  handed: (name: string) => `${name} was handed to your browser's downloads.`,
  copy: "Copy",
  snippet: "Text from the other side",
  you: "You",
  them: "Other side",
  unnamed: "the other side",
  nothing: "nothing",
  everything: "Everything",
  unknownSize: "unknown size",
  folder: "folder",
  route: "Connection",
  peer: "Other side runs",
  here: "This page is",
  over: (way: string, family: string) => `${way} over ${family}`,
  roundTrip: (time: string) => `${time} round trip`,
  switchChosen: "What you chose has not been sent. Leave it, and use the new code?",
  switchCode: "A transfer is running. Stop it, and use the new code?",
} as const;

/** The reason for a transfer without progress, by the role of this page. */
export const standstills = {
  peer: {
    receiver: (time: string) => `nothing has arrived for ${time}`,
    sender: (time: string) => `the other side has confirmed nothing for ${time}`,
  },
  disk: {
    receiver: (time: string) => `this device has been saving for ${time}`,
    sender: (time: string) => `this device has been reading for ${time}`,
  },
} as const;

/** The ways to save. */
export const destinations: Readonly<Record<Destination["type"], string>> = {
  picker: "To a place that I choose, written directly",
  folder: "Into a folder that I choose",
  private: "Into my downloads, when it is complete",
  stream: "Into my downloads, as it arrives",
  memory: "Into my downloads, kept in memory until it is complete",
};

/** How to avoid keeping too much in memory. */
export const advices: Readonly<Record<Advice, string>> = {
  another: "Choose another way to save.",
  https:
    "All browsers do this with pages that are not opened over https. A copy of this page on an https server can write to the disk.",
  copy: "All browsers do this with pages over http. A copy of this page on an https server, or opened from a file (create it with dcsend page -o index.html), can write to the disk.",
  room: "With more free space on this device it could write to the disk.",
  window: "In a window that is not private it may be able to write to the disk.",
  fewer: "Or take fewer files at a time.",
  computer: "Or receive on a computer with dcsend receive, which writes to the disk.",
};

/** The routes of a connection. */
export const ways: Readonly<Record<string, string>> = {
  direct: "direct",
  relayed: "through a relay",
};

/** Nouns in singular and plural. */
export const counts = {
  file: ["file", "files"],
  folder: ["folder", "folders"],
  link: ["link", "links"],
  text: ["text", "texts"],
  symlink: ["symbolic link", "symbolic links"],
  special: ["special file", "special files"],
} as const;

/** The verdicts of files; `none` if the transfer ended before. */
export const verdicts = {
  ok: "verified",
  mismatch: "damaged, not kept",
  failed: "failed",
  skipped: "left out",
  none: "not verified",
} as const;

/** The result in the title of the tab and in the notification. */
export const endings = { done: "Done", partly: "Incomplete", failed: "Failed" } as const;

/** Circumstances that are more specific than the kind of an error. */
export type Situation =
  | "unsupported"
  | "framed"
  | "unreachable"
  | "offline"
  | "was-offline"
  | "suspended"
  | "peer-gone"
  | "declined";

/** What went wrong, and what to do about it, as one sentence each. */
export interface Trouble {
  readonly title: string;
  readonly advice: readonly string[];
  /**
   * Whether the same code may work again, if it has not been used. False if the listener has ended
   * its run or refused the code, and if the code itself is the problem.
   */
  readonly again: boolean;
  /** The text of the button for that, if it is not "Try again". */
  readonly retry?: string;
  /** False if another try will fail in the same way unless the user does something before. */
  readonly leads?: boolean;
  /** The text in place of AGAIN while the code works. */
  readonly still?: string;
}

const CHANGE = {
  retry: "Change what to send",
  still: "Nothing was accepted, so the code still works: change what you send.",
} as const;

/** A refusal in which the receiver names all files that exist there. */
export const someExist: Trouble = {
  title: "Files of the same name exist on the other side",
  advice: [
    "Nothing was sent. Leave these files out, or ask the person there to start dcsend again with --rename or --overwrite, and use the new code.",
    AGAIN,
  ],
  again: true,
  ...CHANGE,
};

/** A refusal in which it names only some of them. */
export const manyExist: Trouble = {
  ...someExist,
  advice: [
    "Nothing was sent. Ask the person there to start dcsend again with --rename or --overwrite, and use the new code.",
    AGAIN,
  ],
  leads: false,
};

/** The text for each kind of error; chosen by `explain` in wording.ts. */
export const troubles: Readonly<Record<ErrorKind | Situation, Trouble>> = {
  unsupported: {
    title: "This browser can't connect",
    advice: [
      "It has no WebRTC, or WebRTC is switched off.",
      "Open the link in a current Chrome, Firefox, Safari or Edge, and not inside another app.",
      "Or run dcsend receive with the code on a computer.",
    ],
    again: false,
  },
  framed: {
    title: "This page does not work inside another page",
    advice: [
      "Another site shows it in a frame, and could make you accept something that you don't see.",
      "Open the link by itself, in a tab of its own.",
    ],
    again: false,
  },
  code: {
    title: "This code can't be used",
    advice: ["Scan the QR code again, or copy the whole line, from dc to its end."],
    again: false,
  },
  "code-expired": { title: "The code has expired", advice: [AGAIN], again: false },
  "code-used": {
    title: "The code doesn't work any more",
    advice: ["Each code works once.", AGAIN],
    again: false,
  },
  authentication: {
    title: "The code does not match",
    advice: [AGAIN],
    again: false,
  },
  unreachable: {
    title: "No connection",
    advice: [
      "Is dcsend still running there, with this code on its screen?",
      "Are both devices in the same network? Mobile data, a guest Wi-Fi and a VPN separate them.",
      "Was the code used before, by you or by another person? A code works once: start dcsend again for a new one.",
    ],
    again: true,
  },
  offline: {
    title: "This device is offline",
    advice: ["Connect it to the network of the other device.", AGAIN],
    again: true,
    leads: false,
  },
  "was-offline": {
    title: "This device was offline",
    advice: ["It has a network again.", AGAIN],
    again: true,
  },
  timeout: { title: "The other side stopped waiting", advice: [AGAIN], again: false },
  connection: {
    title: "The connection was lost",
    advice: ["Check the network of both devices.", AGAIN],
    again: true,
  },
  suspended: {
    title: "The browser suspended this page",
    advice: [`The connection was lost meanwhile. ${KEEP_OPEN}`, AGAIN],
    again: true,
  },
  "peer-gone": {
    title: "The other side can't be reached any more",
    advice: [
      "Its program was ended, or one of the two devices sleeps, or has left or changed its network.",
      "After about 16 seconds of silence a browser ends a connection, even if the network comes back.",
      AGAIN,
    ],
    again: true,
  },
  refused: {
    title: "The other side ended the transfer",
    advice: ["Ask the person there.", AGAIN],
    again: false,
  },
  "cannot-save": {
    title: "Nothing was sent",
    advice: [
      "Choose other files, or ask the person there to make room, or to allow files of the same name.",
      AGAIN,
    ],
    again: true,
    ...CHANGE,
  },
  declined: {
    title: "Declined",
    advice: ["Nothing was received. The other side has been informed."],
    again: false,
  },
  interrupted: { title: "Stopped", advice: [KEPT, AGAIN], again: true },
  source: {
    title: "A file could not be read",
    advice: ["It was changed, moved or locked meanwhile. Choose it again.", AGAIN],
    again: false,
  },
  destination: {
    title: "A file could not be saved",
    advice: ["Choose another way to save.", AGAIN],
    again: true,
  },
  integrity: {
    title: "Damaged bytes arrived",
    advice: ["Nothing of the damaged file was kept.", AGAIN],
    again: false,
  },
  version: {
    title: "The versions of the two sides are not compatible",
    advice: ["Update dcsend on both sides."],
    again: false,
  },
  partly: {
    title: strings.partly,
    advice: ["Files that are marked as verified are complete. Send the rest again."],
    again: false,
  },
  protocol: {
    title: "The other side violated the protocol",
    advice: ["Nothing more was accepted from it."],
    again: false,
  },
  usage: { title: "This is not possible", advice: ["Correct what was entered."], again: false },
  bug: {
    title: "Something went wrong",
    advice: ["This is a bug in dcsend; please report it."],
    again: false,
  },
  unexpected: {
    title: "Something went wrong",
    advice: ["Load this page again.", AGAIN],
    again: false,
  },
};
