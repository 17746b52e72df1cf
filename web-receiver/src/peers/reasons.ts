/**
 * Why the page and the other side do not connect: facts in, message and next step out. As
 * `dcsend/peers/situations.py` and `dcsend/peers/reasons.py`, for the situations that a page can
 * detect.
 *
 * Pure. docs/connecting.md shows the table; a test compares them.
 */
import { CodeUsed, ConnectionFailed } from "../errors.ts";

/** The facts known to the page after a failed attempt. */
export interface Facts {
  /** Whether it dialed with one code, made the offer of two descriptions, or used a short code. */
  readonly role: "dialer" | "offerer" | "short code";
  /** Addresses of the other side, from its code. */
  readonly theirs: readonly RemoteAddress[];
  /** Whether more of them may still arrive. */
  readonly isPartial?: boolean;
  /** The browser's own description, with the candidates that it found. */
  readonly own: string;
  /** Whether a STUN or TURN server was configured. */
  readonly asked: boolean;
  /** The last state of ICE before the end; `new` where the browser has not sent any check. */
  readonly ice: RTCIceConnectionState;
  /** Whether it ended so early that the listener must have refused; only Chromium shows it. */
  readonly early: boolean;
  /** The host that has served this page over the network; empty if it came from another source. */
  readonly server: string;
  /** What is known of the two networks; with short codes only. */
  readonly here?: Network | undefined;
  readonly there?: Network | undefined;
}

/** How the network of one side behaves. */
export interface Network {
  /** How its NAT maps addresses (RFC 4787, 4.1). */
  readonly mapping: "unknown" | "none" | "endpoint-independent" | "address-dependent";
  /** Whether UDP leaves it. */
  readonly udp: "unknown" | "works" | "blocked";
}

/** Nothing is known. */
export const UNKNOWN: Network = { mapping: "unknown", udp: "unknown" };

/** A transport address of the other side. */
export interface RemoteAddress {
  /** An IP address, or a name that ends with `.local`. */
  readonly host: string;
  readonly port: number;
  readonly relayed?: boolean;
}

/**
 * A situation: when it applies, the message, and the next step. The first that applies decides. Its
 * name is in docs/connecting.md.
 */
interface Situation {
  applies(facts: Facts): boolean;
  /** `HOSTS`, `PORT`, `PUBLIC`, `FAMILY` and `SERVER` are replaced by values of the facts. */
  readonly message: string;
  readonly hint: string;
  /** Whether the listener has answered that the code no longer works. */
  readonly isRefusal?: true;
}

const CANDIDATE = /^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)/gim;
/** RFC 1918, 6598, 3927, 4193 and 4291, and loopback. */
const PRIVATE =
  /^(10\.|127\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|::1$)/i;

const WAITING =
  "another device may be connected with this code, or it is used up, or the program there has ended: if so, use the new code there, or make one.";

/** Where the browser sends no checks: Chromium does so without the permission. */
const ALLOW = "allow the browser and this page to use the local network, in the settings";

/** Return the hosts of the browser's candidates of one type. */
export function found(own: string, type: string): string[] {
  return [...own.matchAll(CANDIDATE)].filter((match) => match[3] === type).map((m) => m[1] ?? "");
}

/** Return whether an address is not that of another host in each network. */
export const isPublic = ({ host }: Pick<RemoteAddress, "host">) =>
  !host.endsWith(".local") && !PRIVATE.test(host);
const isIPv6 = ({ host }: RemoteAddress) => host.includes(":");
const isOneFamily = (theirs: Facts["theirs"]) =>
  theirs.length > 0 &&
  (theirs.every(isIPv6) || theirs.every((place) => /^[\d.]+$/.test(place.host)));
/** Return whether addresses of IPv6 are among these; names that end with `.local` have no family. */
const families = (hosts: readonly string[]) =>
  new Set(hosts.filter((host) => !host.endsWith(".local")).map((host) => host.includes(":")));
/**
 * Whether all known addresses of this side are of one family, and the others of the other one; or
 * the browser has no pair with those of the other side, which are of one family.
 */
export const isApart = ({ own, theirs, ice }: Pick<Facts, "own" | "theirs" | "ice">) => {
  const ours = families(["host", "srflx", "relay"].flatMap((type) => found(own, type)));
  const others = families(theirs.map(({ host }) => host));
  const differ = ours.size === 1 && others.size === 1 && [...ours][0] !== [...others][0];
  return differ || (ice === "new" && isOneFamily(theirs));
};
const shared = ({ own, theirs }: Facts) =>
  found(own, "srflx").find((host) => !host.includes(":") && theirs.some((p) => p.host === host));
/** Whether a pair has been found. */
export const isConnected = ({ ice }: Pick<Facts, "ice">) =>
  ice === "connected" || ice === "completed";

/** With one code. */
export const DIALER: readonly Situation[] = [
  {
    applies: isConnected,
    message: "an answer came from HOSTS, but the encrypted connection failed",
    hint: "the code is from an earlier run, or was changed; ask for the current one",
  },
  {
    // Chromium 156 reports the failed connection before or after ICE leaves `checking`.
    applies: ({ ice, early }) => early && (ice === "checking" || ice === "disconnected"),
    message: "the code was refused by HOSTS",
    hint: "it has been used or has expired; ask for a new one",
    isRefusal: true,
  },
  {
    applies: ({ ice, own }) => ice === "new" && found(own, "host").length === 0,
    message: "the browser has found no address of this device that it can use",
    // Firefox 153 uses only the address of the default route, except for a page from the network.
    hint:
      "open the link of the other side, or give this device an IPv4 address (for Chromium) and a " +
      "default route (for Firefox), or use two codes",
  },
  {
    applies: ({ ice, theirs }) => ice === "new" && isOneFamily(theirs),
    message: "the code has FAMILY addresses only, and the browser found no such address here",
    hint: `${ALLOW}, or give this device an FAMILY address, or use two codes and a relay`,
  },
  {
    applies: ({ ice }) => ice === "new",
    message: "the browser did not try to reach HOSTS",
    hint: ALLOW,
  },
  {
    applies: ({ server, theirs }) => theirs.some(({ host }) => host === server),
    message: "no answer from SERVER over UDP, although this page was loaded from there",
    hint: `${WAITING} If not, a firewall there has to open UDP port PORT, too; or use two codes`,
  },
  {
    applies: ({ theirs }) => !theirs.some(isPublic),
    message: "no answer from HOSTS",
    hint: `${WAITING} If not, and both are in the same network, a firewall there has to open UDP port PORT; from another network, use two codes`,
  },
  {
    applies: ({ theirs }) => theirs.every(isPublic),
    message: "no answer from HOSTS",
    hint: `${WAITING} If not, a firewall there has to open UDP port PORT; or use two codes`,
  },
  {
    applies: () => true,
    message: "no answer from HOSTS",
    hint: `${WAITING} If not, and both are in the same network, a firewall there has to open UDP port PORT; from outside it, use two codes`,
  },
];

const BLOCKED_HERE = (tls: string): Situation => ({
  applies: ({ here }) => here?.udp === "blocked",
  message: "this network blocks UDP: no STUN server answers, but TCP works",
  hint: `use another network, or ${tls}`,
});

const BLOCKED_THERE: Situation = {
  // Only a relay over TCP helps there; without one, that side has no relayed address. Where UDP is
  // blocked here, too, a relay of that side is not enough.
  applies: (facts) =>
    facts.there?.udp === "blocked" &&
    !facts.theirs.some((one) => one.relayed) &&
    !isUnanswered(facts),
  message: "the network of the other side blocks UDP",
  hint: "use another network there, or a relay over TLS there: turns:USER:PASSWORD@HOST:443",
};

/**
 * Return the table for two sides that both send checks; `anew` is how another attempt begins, and
 * `networks` whether each side reports how its network behaves.
 */
function mutual(anew: string, networks = false): readonly Situation[] {
  const relay = `${anew}, and name a relay under Servers: turn:USER:PASSWORD@HOST`;
  const tls = `${anew}, and name a relay over TLS under Servers: turns:USER:PASSWORD@HOST:443`;
  return [
    {
      applies: isConnected,
      message: "an answer came from HOSTS, but the encrypted connection failed",
      hint: anew,
    },
    {
      applies: ({ ice, own }) => ice === "new" && own.match(CANDIDATE) === null,
      message: "the browser has found no address of this device that it can use",
      // Firefox 153 and Chromium 156 use only the address of the default route.
      hint: `connect this device to a network with a router, which the browser needs; or ${anew}, and a STUN server that it reaches under Servers`,
    },
    {
      applies: isApart,
      message:
        "the other side has FAMILY addresses only, and the browser found no such address here",
      hint: `${relay}, on the side with IPv6 only`,
    },
    {
      applies: ({ theirs, isPartial }) => theirs.length === 0 && !isPartial,
      message: "the other side has found no address that it can use",
      hint: `connect its device to a network with a router, which the browser needs; or ${anew}, and a STUN server that it reaches under Servers there`,
    },
    ...(networks ? [BLOCKED_THERE] : []),
    {
      // Without UDP here, a relay of the other side is unreachable, too.
      applies: (facts) =>
        found(facts.own, "relay").length > 0 ||
        (facts.theirs.some(({ relayed }) => relayed) && !isUnanswered(facts)),
      message: "no answer from HOSTS, directly or through the relay",
      hint: `if the other side has ended, ${anew}`,
    },
    {
      applies: (facts) => shared(facts) !== undefined,
      message: "no answer from HOSTS: both sides have the public address PUBLIC",
      hint: `connect both to one network that lets its devices reach each other, not to a guest network; or ${relay}`,
    },
    ...(networks ? [BLOCKED_HERE(tls)] : []),
    {
      applies: isUnanswered,
      message: "no answer from HOSTS, and none from a STUN server",
      hint: `if UDP is blocked in this network, ${tls}`,
    },
    {
      applies: ({ theirs }) => theirs.length > 0 && !theirs.some(isPublic),
      message: "no answer from HOSTS, which are private addresses",
      hint: `if UDP is blocked there, the other side needs a relay over TLS: turns:USER:PASSWORD@HOST:443`,
    },
    ...(networks ? symmetric(relay) : []),
    {
      applies: () => true,
      message: "no answer from HOSTS",
      hint: `check that the other side still waits; if a NAT is symmetric, ${relay}`,
    },
  ];
}

function symmetric(relay: string): readonly Situation[] {
  return (["here", "there"] as const).map((side) => ({
    applies: (facts) => facts[side]?.mapping === "address-dependent",
    message: `no answer from HOSTS: the NAT ${side} is symmetric`,
    hint: `a relay is needed, on one of the two sides: ${relay}`,
  }));
}

/** With two descriptions: an offer can be answered once. */
export const OFFERER = mutual("start again with two new codes");

/** With a short code, on either side. */
export const SHORT_CODE = mutual("use a new code", true);

const TABLES: Readonly<Record<Facts["role"], readonly Situation[]>> = {
  dialer: DIALER,
  offerer: OFFERER,
  "short code": SHORT_CODE,
};

/** Return whether servers were configured, and none has answered. */
function isUnanswered({ own, asked }: Facts): boolean {
  return asked && found(own, "srflx").length === 0 && !hasPublic(own);
}

function hasPublic(own: string): boolean {
  return found(own, "host").some((host) => isPublic({ host }));
}

/** Return the error that ends the attempt; `report`: the error of the other side, if it has one. */
export function failure(facts: Facts, report = ""): CodeUsed | ConnectionFailed {
  const which = situation(facts);
  const { message, hint, isRefusal } = which;
  const isKnown = which !== TABLES[facts.role].at(-1);
  const theirs = report === "" || isKnown ? "" : `; the other side reports: ${report}`;
  const said = filled(message, facts) + tried(facts) + theirs;
  return new (isRefusal ? CodeUsed : ConnectionFailed)(said, filled(hint, facts));
}

/** Return what both sides of a short code have tried, and how their networks behave. */
function tried({ role, own, theirs, here, there }: Facts): string {
  if (role !== "short code") return "";
  const relayed = theirs.filter((one) => one.relayed).length;
  const direct = theirs.filter((one) => !one.relayed).map(({ host }) => host);
  const ours = [...found(own, "host"), ...found(own, "srflx")];
  const fromHere = attempts(ours, found(own, "relay").length, here);
  return ` (tried from here: ${fromHere}; from there: ${attempts(direct, relayed, there)})`;
}

/** As `_tried` of `dcsend/peers/reasons.py`. */
function attempts(hosts: readonly string[], relayed: number, { mapping, udp } = UNKNOWN): string {
  const count = new Set(hosts).size;
  const relay = relayed > 0 ? " and a relay" : "";
  const blocked = udp === "blocked" ? ", UDP blocked" : "";
  return `${count} address${count === 1 ? "" : "es"}${relay}${NATS[mapping]}${blocked}`;
}

const NATS: Readonly<Record<Network["mapping"], string>> = {
  unknown: "",
  none: ", no NAT",
  "endpoint-independent": ", NAT that is not symmetric",
  "address-dependent": ", symmetric NAT",
};

/** Return the first situation that applies; the last one always does. */
export function situation(facts: Facts): Situation {
  const table = TABLES[facts.role];
  const [first = table[table.length - 1]] = table.filter((one) => one.applies(facts));
  return first as Situation;
}

function filled(text: string, facts: Facts): string {
  const { theirs, server } = facts;
  const [first] = theirs.filter(({ host }) => host === server).concat(theirs);
  const values: Readonly<Record<string, string>> = {
    HOSTS: theirs.map(({ host }) => host).join(", ") || "anywhere",
    PORT: String(first?.port ?? ""),
    PUBLIC: shared(facts) ?? "",
    FAMILY: theirs.some(isIPv6) ? "IPv6" : "IPv4",
    SERVER: server,
  };
  return text.replace(/\b(HOSTS|PORT|PUBLIC|FAMILY|SERVER)\b/g, (name) => values[name] ?? name);
}
