/** QR codes, compared with those of another implementation. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { qrCode } from "../src/qr.ts";

const drawn = (text: string) =>
  (qrCode(text) ?? []).map((row) => row.map(Number).join("")).join("\n");

// Version 1 to 5 of the Python package qrcode 8, level L, mask 0, in byte mode, 0 and 1 by rows.
test.each([
  ["7-walrus-umbrella", "3bdc766ba7c61e32221f24d50dd372ff86b14dfc323f9e7b944acbe7f162dd50"],
  [
    "http://192.0.2.1/#7-a-bc-defg",
    "b6fcf36ac3d76f5c47848c5a0c03485e85a1776e3416da02723800b2200ea0df",
  ],
  [
    "https://example.org/dcsend/#7-walrus-umbrella",
    "edad27a4c6d5a1c65e48c56f347791f109afd804487e242c91b6bb2fe2cc69cb",
  ],
  [
    "https://example.org/dcsend/#7-walrus-umbrella@rendezvous.example.org:8443",
    "5721de68a6483b7f91c8573fd5d27118c6f33562c3bd185b8f0e3bc801b94927",
  ],
  [
    "https://example.org/dcsend/#123456-walrus-umbrella@rendezvous.department.example.org:8443",
    "0cc6cca303ffdb1da2542a5895abc2282d5a797aa3d03f8a50c901afb6788b40",
  ],
  ["é".repeat(53), "662efbc5afae1f0b933f28971a0e5fbb44be78f0682853c1c7328941ea99f52d"],
])("%s is drawn as by another implementation", (text, digest) => {
  expect(createHash("sha256").update(drawn(text)).digest("hex")).toBe(digest);
});

test("a text of more than 106 bytes has none", () => {
  expect(qrCode("x".repeat(106))).toHaveLength(37);
  expect(qrCode("x".repeat(107))).toBeNull();
});
