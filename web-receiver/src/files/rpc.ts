/**
 * Requests and replies over a port: a worker, or one end of a MessageChannel.
 *
 * Errors are sent as kind, message and hint.
 */
import {
  DcsendError,
  DestinationError,
  type ErrorKind,
  IntegrityError,
  LocalProtocolError,
  SourceError,
} from "../errors.ts";

/** The common part of a Worker, a worker's global scope and a MessagePort. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** A reply, and what of it is transferred instead of copied. */
export interface Answer {
  readonly value: unknown;
  readonly transfer?: readonly Transferable[];
}

/** The methods that can be called, by name. */
export type Methods = Readonly<Record<string, (argument: never) => Promise<Answer>>>;

interface Request {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly kind: ErrorKind; readonly message: string; readonly hint: string };
}

/** The first message of the serving end; no request is sent before. */
const READY: Reply = { id: 0 };

const CLASSES: Partial<Record<ErrorKind, typeof DcsendError>> = {
  source: SourceError,
  destination: DestinationError,
  integrity: IntegrityError,
  bug: LocalProtocolError,
};

/** The calling end. */
export class Caller {
  /** Resolves when the other end is ready. */
  readonly ready: Promise<void>;
  readonly #port: Port;
  readonly #waiting = new Map<number, (reply: Reply | DcsendError) => void>();
  #last = 0;
  #failure: DcsendError | null = null;

  constructor(port: Port) {
    this.#port = port;
    this.ready = this.#wait(READY.id).then(() => undefined);
    // A caller that does not await it gets the failure from its first call.
    this.ready.catch(() => undefined);
    port.onmessage = ({ data }: MessageEvent<Reply>) => {
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
  }

  /** Call `method`; `transfer` lists what of `argument` is transferred. */
  call(method: string, argument: unknown, transfer: Transferable[] = []): Promise<unknown> {
    const id = ++this.#last;
    const answer = this.#wait(id);
    if (this.#failure === null) {
      const request: Request = { id, method, argument };
      this.#port.postMessage(request, transfer);
    }
    return answer;
  }

  /** The other end is gone: reject all open and later calls. */
  fail(failure: DcsendError): void {
    this.#failure ??= failure;
    for (const settle of this.#waiting.values()) settle(this.#failure);
    this.#waiting.clear();
  }

  #wait(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const settle = (reply: Reply | DcsendError) => {
        if (reply instanceof DcsendError) reject(reply);
        else if (reply.error !== undefined) reject(revived(reply.error));
        else resolve(reply.value);
      };
      if (this.#failure === null) this.#waiting.set(id, settle);
      else settle(this.#failure);
    });
  }
}

/** Serve the requests that come through `port` with `methods`, concurrently. */
export function answer(port: Port, methods: Methods): void {
  port.onmessage = async ({ data: { id, method, argument } }: MessageEvent<Request>) => {
    try {
      const { value, transfer = [] } = (await methods[method]?.(argument as never)) ?? {};
      port.postMessage({ id, value } satisfies Reply, [...transfer]);
    } catch (error) {
      port.postMessage({ id, error: described(error) } satisfies Reply, []);
    }
  };
  port.postMessage(READY, []);
}

function described(error: unknown): NonNullable<Reply["error"]> {
  if (error instanceof DcsendError) {
    return { kind: error.kind, message: error.message, hint: error.hint };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "unexpected", message, hint: "" };
}

function revived({ kind, message, hint }: NonNullable<Reply["error"]>): DcsendError {
  return new (CLASSES[kind] ?? DcsendError)(message, hint);
}
