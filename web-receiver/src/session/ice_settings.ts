/** The STUN and TURN servers of an attempt. As `dcsend/session/ice_settings.py`. */
import type { IceServer } from "../rendezvous/ice_servers.ts";

/**
 * Return the servers that the user has named, and those that a rendezvous server offers, as
 * RTCPeerConnection takes them.
 */
export function iceServers(
  named: readonly RTCIceServer[],
  offered: readonly IceServer[],
): RTCIceServer[] {
  // Browsers ask STUN servers over UDP only, and Chromium refuses a list with a `stuns:`.
  const usable = offered.map((server) => {
    return { ...server, urls: server.urls.filter((url) => !/^stuns:/i.test(url)) };
  });
  return [...named, ...usable.filter(({ urls }) => urls.length > 0)];
}
