/** A connection of src/peers/browser.ts over a scripted RTCPeerConnection. */
import type { DialTarget } from "../src/peers/answer.ts";
import { dial } from "../src/peers/browser.ts";
import type { Connection } from "../src/peers/contract.ts";
import { FakePeer } from "./fake-peer.ts";

export const TARGET: DialTarget = {
  addresses: [
    { host: "192.0.2.7", port: 40_000 },
    { host: "2001:db8::7", port: 40_000 },
  ],
  password: "1X03PMfeXb9SMaeT/+w5m7OO",
  fingerprint: new Uint8Array(32),
};

/** Return a connection over a scripted peer, with all channels open. */
export async function connected(peer = new FakePeer()): Promise<[Connection, FakePeer]> {
  peer.described = () => peer.open();
  return [await dial(TARGET, { peerConnection: peer.factory }), peer];
}
