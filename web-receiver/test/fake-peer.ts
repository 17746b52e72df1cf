/**
 * A scripted RTCPeerConnection with the parts that src/peers/browser.ts uses, since Node has none.
 * Two can be linked, and then carry messages as browsers do. tests/pages has real browsers.
 */

/** An offer of Chromium. */
export const CHROMIUM_OFFER = [
  "v=0",
  "o=- 4944869722615573422 2 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0",
  "a=extmap-allow-mixed",
  "a=msid-semantic: WMS",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 0.0.0.0",
  "a=candidate:3311364127 1 udp 2113937151 380b337f-eb86.local 50425 typ host generation 0",
  "a=ice-ufrag:KDrd",
  "a=ice-pwd:3uXwOoSPIC4i79hdex7FEfvd",
  "a=ice-options:trickle",
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, (_, n) => (n + 224).toString(16))
    .join(":")
    .toUpperCase()}`,
  "a=setup:actpass",
  "a=mid:0",
  "a=sctp-port:5000",
  "a=max-message-size:262144",
  "",
].join("\r\n");

type Data = string | ArrayBuffer;

/** One end of a scripted data channel. */
export class FakeChannel {
  readonly label: string;
  readyState: RTCDataChannelState = "connecting";
  ordered = true;
  maxRetransmits: number | null = null;
  maxPacketLifeTime: number | null = null;
  binaryType = "blob";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  onopen = () => {};
  onclose = () => {};
  onerror = () => {};
  onbufferedamountlow = () => {};
  onmessage = (_event: { data: Data }) => {};
  /** Thrown by the next `send`. */
  refusal: Error | null = null;
  /** The channel that receives its messages; while null they stay in the buffer. */
  other: FakeChannel | null = null;

  constructor(label: string) {
    this.label = label;
  }

  close(): void {
    this.closed();
  }

  send(message: Uint8Array | string): void {
    const { refusal } = this;
    this.refusal = null;
    if (refusal !== null) throw refusal;
    if (this.readyState !== "open") throw new DOMException("not open", "InvalidStateError");
    if (message.length > 262_144) throw new TypeError("too large");
    this.bufferedAmount += message.length;
    const data = typeof message === "string" ? message : new Uint8Array(message).buffer;
    if (this.other !== null) queueMicrotask(() => this.#deliver(data, message.length));
  }

  /** Remove so many bytes from the buffer. */
  drain(size: number): void {
    const before = this.bufferedAmount;
    this.bufferedAmount -= size;
    const threshold = this.bufferedAmountLowThreshold;
    if (before > threshold && this.bufferedAmount <= threshold) this.onbufferedamountlow();
  }

  open(): void {
    this.readyState = "open";
    this.onopen();
  }

  /** Simulate that the peer has closed it. */
  closed(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.onclose();
  }

  #deliver(data: Data, size: number): void {
    if (this.readyState !== "open") return;
    this.drain(size);
    this.other?.onmessage({ data });
  }
}

/** A scripted RTCPeerConnection. */
export class FakePeer {
  readonly configuration: RTCConfiguration;
  readonly channels: FakeChannel[] = [];
  iceConnectionState: RTCIceConnectionState = "new";
  connectionState: RTCPeerConnectionState = "new";
  oniceconnectionstatechange = () => {};
  onconnectionstatechange = () => {};
  iceGatheringState: RTCIceGatheringState = "gathering";
  onicecandidate: ((event: { candidate: { candidate: string } | null }) => void) | null = null;
  onicecandidateerror: ((error: object) => void) | null = null;
  ondatachannel: ((event: { channel: FakeChannel }) => void) | null = null;
  /** What was given to `addIceCandidate`. */
  readonly added: string[] = [];
  localDescription: RTCSessionDescriptionInit | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;
  sctp = { maxMessageSize: 262_144 };
  stats = new Map<string, object>();
  isClosed = false;
  /** Called when both descriptions are set. */
  described = () => {};

  constructor(configuration: RTCConfiguration = {}) {
    this.configuration = configuration;
  }

  /** In the form that `dial` and `offer` accept. */
  get factory(): (configuration: RTCConfiguration) => RTCPeerConnection {
    return (configuration) => {
      Object.assign(this.configuration, configuration);
      return this as unknown as RTCPeerConnection;
    };
  }

  getConfiguration(): RTCConfiguration {
    return this.configuration;
  }

  setConfiguration(configuration: RTCConfiguration): void {
    Object.assign(this.configuration, configuration);
  }

  createDataChannel(label: string): FakeChannel {
    const channel = new FakeChannel(label);
    this.channels.push(channel);
    return channel;
  }

  async createOffer(): Promise<RTCSessionDescriptionInit> {
    return { type: "offer", sdp: CHROMIUM_OFFER };
  }

  async createAnswer(): Promise<RTCSessionDescriptionInit> {
    const sdp = CHROMIUM_OFFER.replace("a=setup:actpass", "a=setup:active");
    return { type: "answer", sdp };
  }

  async addIceCandidate({ candidate }: { candidate: string }): Promise<void> {
    if (this.remoteDescription === null) throw new DOMException("early", "InvalidStateError");
    this.added.push(candidate);
  }

  /** Report a candidate of this side; null is their end. */
  find(candidate: string | null): void {
    this.onicecandidate?.({ candidate: candidate === null ? null : { candidate } });
  }

  async setLocalDescription(description: RTCSessionDescriptionInit): Promise<void> {
    this.localDescription = description;
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    this.remoteDescription = description;
    this.described();
  }

  async getStats(): Promise<ReadonlyMap<string, object>> {
    if (this.isClosed) throw new DOMException("closed", "InvalidStateError");
    return this.stats;
  }

  close(): void {
    this.isClosed = true;
    for (const channel of this.channels) channel.readyState = "closed";
    for (const { other } of this.channels) queueMicrotask(() => other?.closed());
  }

  /** Change the states of ICE and of the connection, and fire their events. */
  become(ice: RTCIceConnectionState, connection: RTCPeerConnectionState): void {
    if (ice !== this.iceConnectionState) {
      this.iceConnectionState = ice;
      this.oniceconnectionstatechange();
    }
    if (connection !== this.connectionState) {
      this.connectionState = connection;
      this.onconnectionstatechange();
    }
  }

  /** Connect, and open all channels. */
  open(): void {
    this.become("connected", "connected");
    for (const channel of this.channels) channel.open();
  }
}

/** Return two that connect with each other once both descriptions are set. */
export function linkedPeers(): [FakePeer, FakePeer] {
  const [left, right] = [new FakePeer(), new FakePeer()];
  const described = () => {
    if (left.remoteDescription === null || right.remoteDescription === null) return;
    for (const [place, channel] of left.channels.entries()) {
      const other = right.channels[place];
      if (other === undefined) throw new Error(`no channel for ${channel.label}`);
      channel.other = other;
      other.other = channel;
    }
    left.open();
    right.open();
  };
  left.described = right.described = described;
  return [left, right];
}
