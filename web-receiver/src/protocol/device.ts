/** Validation of the device name in Hello, as `dcsend/protocol/device.py`. Imports only leaves. */
import * as limits from "./limits.ts";
import { type Shape, text } from "./strict.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: this searches for them
const IMPOSSIBLE = /[\x00-\x1f\x7f-\x9f/\\]/;
const TEXT = text(limits.MAX_DEVICE);

/**
 * 1 to 64 code points that are possible in a file name, not only spaces. Invisible characters are
 * allowed, as in a file name: `printable` escapes them.
 */
export const DEVICE_NAME: Shape<string> = {
  name: "the name of a device",
  fits: (value): value is string =>
    TEXT.fits(value) && !/^ *$/.test(value) && !IMPOSSIBLE.test(value),
};
