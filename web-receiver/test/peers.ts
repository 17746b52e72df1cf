/** Shared by the tests of both sides: a peer's messages, and checks of an error. */
import { expect } from "vitest";
import type { Entry } from "../src/entry.ts";
import type { Side, TransferInput, Transitions } from "../src/protocol/side.ts";
import { table } from "./vectors.ts";

export const DIGEST = new Uint8Array(32);
export const BYE = '{"type":"bye"}';
export const CANCEL = '{"type":"cancel","reason":"interrupted","message":"ctrl-c"}';
export const DECLINE = '{"type":"decline","reason":"declined","message":"no"}';
export const COMPLETE = '{"type":"complete","ok":true,"files":2,"bytes":5}';
export const MANIFEST = JSON.stringify({
  type: "manifest",
  entries: [
    { path: "d", kind: "directory", size: 0 },
    { path: "d/a", kind: "file", size: 5 },
    { path: "d/b", kind: "file", size: null },
  ],
  last: true,
});
export const MANIFEST_PART = MANIFEST.replace("true", "false");

export function hello(role: string): string {
  const rest = '"features":[],"max_frame":64960}';
  return `{"type":"hello","versions":[1],"agent":"peer/1","role":"${role}",${rest}`;
}

export function ack(bytes: number): string {
  return JSON.stringify({ type: "ack", bytes });
}

export function verdict(...files: [number, string][]): string {
  return JSON.stringify({ type: "verdict", files });
}

export function accept(fields: object = {}): string {
  return JSON.stringify({
    type: "accept",
    window: 1000,
    skip: [],
    have: [],
    last: true,
    ...fields,
  });
}

/** A message for each input that a peer can cause on the control channel, from a peer of `role`. */
export function peerInputs(role: string): [TransferInput, string][] {
  return [
    ["Hello", hello(role)],
    ["Manifest (more follow)", MANIFEST_PART],
    ["Manifest (last)", MANIFEST],
    ["Accept (more follow)", accept({ skip: [[0, "exists"]], last: false })],
    ["Accept (last)", accept()],
    ["Decline", DECLINE],
    ["Ack", ack(0)],
    ["Verdict", verdict([1, "failed"])],
    ["Working", '{"type":"working"}'],
    ["Again", '{"type":"again","file":1,"from":0,"to":1}'],
    ["Complete", COMPLETE],
    ["Bye", BYE],
    ["Cancel", CANCEL],
  ];
}

export function file(path: string, size: number | null = 0): Entry {
  return { path, kind: "file", size, mode: 0o644, mtime: null, target: "", stored: null };
}

export function folder(path: string): Entry {
  return { ...file(path), kind: "directory", mode: 0o755 };
}

export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** The queued messages, as JSON. */
export function queued(side: Side): { type: string; reason?: string; message?: string }[] {
  return side.messagesToSend().map((text) => JSON.parse(text));
}

/** The rows of a table in the form of PROTOCOL.md. */
function rows(transitions: Transitions): string[][] {
  return Object.entries(transitions).flatMap(([state, row]) =>
    Object.entries(row).map(([input, following]) => [state, input, following]),
  );
}

/** Compare with the table below a heading of PROTOCOL.md, in any order of its rows. */
export function expectTable(transitions: Transitions, title: string): void {
  const documented = table(title);
  expect(documented.length).toBeGreaterThan(20);
  expect(rows(transitions).sort()).toEqual(documented.sort());
}
