/**
 * Requests and answers over a port: a worker, or one end of a MessageChannel.
 *
 * Errors travel as kind, message and hint. Must not import the rest of `files`.
 */
import {
  DcsendError,
  DestinationError,
  type ErrorKind,
  IntegrityError,
  LocalProtocolError,
  SourceError,
} from "../errors.ts";

/** What a Worker, a worker's own scope and a MessagePort have in common. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/** An answer, and what of it is handed over instead of copied. */
export interface Answer {
  readonly value: unknown;
  readonly transfer?: readonly Transferable[];
}

/** What can be asked for, by name. */
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

/** The first message of who answers; nothing is asked before. */
const READY: Reply = { id: 0 };

const CLASSES: Partial<Record<ErrorKind, typeof DcsendError>> = {
  source: SourceError,
  destination: DestinationError,
  integrity: IntegrityError,
  bug: LocalProtocolError,
};

/** The asking end. */
export class Caller {
  /** Resolves when the other end is there. */
  readonly ready: Promise<void>;
  readonly #port: Port;
  readonly #waiting = new Map<number, (reply: Reply | DcsendError) => void>();
  #last = 0;
  #failure: DcsendError | null = null;

  constructor(port: Port) {
    this.#port = port;
    this.ready = this.#wait(READY.id).then(() => undefined);
    // Who doesn't wait for it learns of the failure by the first call.
    this.ready.catch(() => undefined);
    port.onmessage = ({ data }: MessageEvent<Reply>) => {
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
  }

  /** Ask for `method`; `transfer` lists what of `argument` is handed over. */
  call(method: string, argument: unknown, transfer: Transferable[] = []): Promise<unknown> {
    const id = ++this.#last;
    const answer = this.#wait(id);
    if (this.#failure === null) {
      const request: Request = { id, method, argument };
      this.#port.postMessage(request, transfer);
    }
    return answer;
  }

  /** The other end is gone: reject all that is and will be asked. */
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

/** Answer what comes through `port` by `methods`, each call on its own. */
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
