/** The path of a connection, by the statistics of the browser. */
import { describe, expect, test } from "vitest";
import { connected } from "./dialed.ts";

describe("route", () => {
  const PAIR = {
    type: "candidate-pair",
    state: "succeeded",
    nominated: true,
    localCandidateId: "local",
    remoteCandidateId: "remote",
    currentRoundTripTime: 0.02,
  };
  const HOST = { type: "remote-candidate", candidateType: "host", address: "192.0.2.7" };

  async function routeWith(stats: Record<string, object>) {
    const [connection, peer] = await connected();
    peer.stats = new Map(Object.entries(stats));
    return connection.route();
  }

  test("is that of the nominated pair", async () => {
    const failed = { ...PAIR, state: "failed", remoteCandidateId: "other" };
    expect(await routeWith({ failed, pair: PAIR, remote: HOST })).toEqual({
      path: "direct",
      family: "IPv4",
      remote: "192.0.2.7",
      rtt: 0.02,
    });
  });

  test("is that of the pair that is selected among the nominated", async () => {
    const other = { ...HOST, address: "2001:db8::7" };
    const stats = {
      first: PAIR,
      second: { ...PAIR, remoteCandidateId: "other" },
      transport: { type: "transport", selectedCandidatePairId: "second" },
      remote: HOST,
      other,
    };
    expect(await routeWith(stats)).toMatchObject({ family: "IPv6", remote: "2001:db8::7" });
  });

  test("may have a hidden address and no round trip yet", async () => {
    const { currentRoundTripTime: _, ...pair } = PAIR;
    expect(await routeWith({ pair, remote: { ...HOST, address: null } })).toEqual({
      path: "direct",
      family: "",
      remote: "",
      rtt: null,
    });
  });

  test("has neither family nor address if the browser has only a random name", async () => {
    const remote = { ...HOST, address: "380b337f-eb86.local" };
    expect(await routeWith({ pair: PAIR, remote })).toMatchObject({ family: "", remote: "" });
  });

  test("reports a relay", async () => {
    const local = { type: "local-candidate", candidateType: "relay" };
    expect(await routeWith({ pair: PAIR, local, remote: HOST })).toMatchObject({ path: "relayed" });
  });

  test.each(["relay", "prflx"])(
    "reports the relay of the other side, if it is %s",
    async (type) => {
      const remote = { ...HOST, candidateType: type, port: 3478 };
      const signaled = { ...HOST, candidateType: "relay", port: 3478 };
      const stats = { pair: PAIR, remote, signaled };
      expect(await routeWith(stats)).toMatchObject({ path: "relayed", remote: "192.0.2.7" });
    },
  );

  test("is direct if another port of that address is a relay", async () => {
    const remote = { ...HOST, candidateType: "prflx", port: 4000 };
    const signaled = { ...HOST, candidateType: "relay", port: 3478 };
    expect(await routeWith({ pair: PAIR, remote, signaled })).toMatchObject({ path: "direct" });
  });

  test("of a closed connection is empty", async () => {
    const [connection] = await connected();
    connection.close();
    expect(await connection.route()).toMatchObject({ remote: "", rtt: null });
  });
});
