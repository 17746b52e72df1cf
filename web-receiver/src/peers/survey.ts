/**
 * How the NAT of this network behaves, by the answers of two STUN servers to one socket. As
 * `Facts.network` of `dcsend/peers/situations.py`, as far as a browser shows it.
 */
import { BrowserConnection, type NewPeer } from "./connection.ts";
import { found, isPublic, type Network, UNKNOWN } from "./reasons.ts";
import { DEFAULT_SERVER, placeOf } from "./servers.ts";

/** Used besides the default server, after an attempt has found no path. */
const SECOND_SERVER = "stun:stun.cloudflare.com:3478";
/**
 * Seconds for the answers, which take one round trip; browsers repeat a request for about 10 s. The
 * terminal has 2.
 */
const LIMIT = 4;

/**
 * Query the STUN servers among `iceServers` from a new socket; nothing is sent to the other side.
 *
 * `tcp`: whether a server on the internet is reached over TCP. Then two silent servers show that UDP
 * is blocked; one alone may be out of order.
 */
export async function survey(
  iceServers: readonly RTCIceServer[],
  newPeer: NewPeer,
  tcp = false,
): Promise<Network> {
  const urls = iceServers.flatMap(({ urls }) => urls).filter((url) => /^stun:/i.test(url));
  if (String(urls) === DEFAULT_SERVER) urls.push(SECOND_SERVER);
  if (urls.length === 0) return UNKNOWN;
  const errors = new Map(urls.map((url) => [placeOf(url), 0]));
  const peer = newPeer({ iceServers: [{ urls }] });
  peer.onicecandidateerror = ({ url }) => {
    errors.set(placeOf(url), (errors.get(placeOf(url)) ?? 0) + 1);
  };
  const connection = new BrowserConnection(peer);
  try {
    await connection.offer();
    const sdp = await connection.gathered(LIMIT, 0);
    // Browsers report an error for each interface and address family. So two servers have equally
    // many if both have answered, since a second, equal candidate is not reported.
    const isComplete = peer.iceGatheringState === "complete" && new Set(errors.values()).size === 1;
    return network(sdp, errors.size > 1 && isComplete, tcp && errors.size > 1);
  } finally {
    connection.close();
  }
}

/** `bothAnswered`: whether two servers have; `shows`: whether silence shows that UDP is blocked. */
function network(sdp: string, bothAnswered: boolean, shows: boolean): Network {
  const all = ["host", "srflx"].map((type) => found(sdp, type)) as [string[], string[]];
  const [hosts, mapped] = all.map((some) =>
    some.filter((host) => !host.includes(":")),
  ) as typeof all;
  // A server that reports a public address of this device adds no candidate.
  const isSilent = all[1].length === 0 && !all[0].some((host) => isPublic({ host }));
  const udp = all[1].length > 0 ? "works" : isSilent && shows ? "blocked" : "unknown";
  if (hosts.some((host) => isPublic({ host }))) return { mapping: "none", udp };
  // One address with several ports: the NAT has another mapping for each server.
  if (new Set(mapped).size < mapped.length) return { mapping: "address-dependent", udp };
  return { mapping: mapped.length > 0 && bothAnswered ? "endpoint-independent" : "unknown", udp };
}
