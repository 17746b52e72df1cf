/** The icon of the tab: a progress ring. Pure; imports nothing. */

const COLOURS = { idle: "#64748b", busy: "#0d9488", done: "#15803d", failed: "#dc2626" };

/** The state that the icon shows. */
export type Look = keyof typeof COLOURS;

/** Return the icon as a `data:` URL; `fraction` of the ring, 0 to 1, is coloured. */
export function favicon(look: Look, fraction = 1): string {
  const ring = (colour: string, part: number) =>
    `<circle cx="16" cy="16" r="12" fill="none" stroke="${colour}" stroke-width="7" pathLength="100" stroke-dasharray="${Math.round(100 * part)} 100" transform="rotate(-90 16 16)"/>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${ring("#94a3b866", 1)}${ring(COLOURS[look], fraction)}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
