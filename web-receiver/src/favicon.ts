/** The picture in the tab: a ring that fills up. Pure; imports nothing. */

const COLOURS = { idle: "#64748b", busy: "#0d9488", done: "#15803d", failed: "#dc2626" };

/** What the picture tells. */
export type Look = keyof typeof COLOURS;

/** Draw the ring as a `data:` URL; `fraction` of it, 0 to 1, in colour. */
export function favicon(look: Look, fraction = 1): string {
  const ring = (colour: string, part: number) =>
    `<circle cx="16" cy="16" r="12" fill="none" stroke="${colour}" stroke-width="7" pathLength="100" stroke-dasharray="${Math.round(100 * part)} 100" transform="rotate(-90 16 16)"/>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${ring("#94a3b866", 1)}${ring(COLOURS[look], fraction)}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
