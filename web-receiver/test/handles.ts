/** An in-memory file system with the handles that dcsend uses. */

/** A file, written through a swap copy or a synchronous handle. */
export class FakeFile {
  readonly kind = "file";
  readonly name: string;
  content = new Uint8Array(0);
  /** Bytes that it can have. */
  room = Number.POSITIVE_INFINITY;
  /** Whether a swap copy or a synchronous handle is open. */
  busy = false;

  constructor(name: string) {
    this.name = name;
  }

  async getFile(): Promise<File> {
    return new File([this.content], this.name);
  }

  async createWritable() {
    let swap = new Uint8Array(0);
    this.busy = true;
    const end = () => {
      this.busy = false;
    };
    return {
      write: async ({ position, data }: { position: number; data: Uint8Array }) => {
        swap = grown(swap, Math.max(swap.length, position + data.length));
        swap.set(data, position);
      },
      truncate: async (size: number) => {
        swap = grown(swap, size);
      },
      close: async () => {
        this.content = swap;
        end();
      },
      abort: async () => end(),
    };
  }

  async createSyncAccessHandle() {
    if (this.busy) throw new DOMException("", "NoModificationAllowedError");
    this.busy = true;
    return {
      read: (block: Uint8Array, { at }: { at: number }) => {
        const found = this.content.subarray(at, at + block.length);
        block.set(found);
        return found.length;
      },
      write: (data: Uint8Array, { at }: { at: number }) => {
        // As a full disk.
        if (at + data.length > this.room) return 0;
        this.content = grown(this.content, Math.max(this.content.length, at + data.length));
        this.content.set(data, at);
        return data.length;
      },
      truncate: (size: number) => {
        this.content = grown(this.content, size);
      },
      flush: () => undefined,
      close: () => {
        this.busy = false;
      },
    };
  }
}

/** A folder. */
export class FakeFolder {
  readonly kind = "directory";
  readonly name: string;
  readonly inside = new Map<string, FakeFile | FakeFolder>();

  constructor(name: string) {
    this.name = name;
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<FakeFile> {
    const found = this.#get(name, () => new FakeFile(name), create);
    if (!(found instanceof FakeFile)) throw new DOMException("", "TypeMismatchError");
    return found;
  }

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<FakeFolder> {
    const found = this.#get(name, () => new FakeFolder(name), create);
    if (!(found instanceof FakeFolder)) throw new DOMException("", "TypeMismatchError");
    return found;
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.inside.delete(name)) throw new DOMException("", "NotFoundError");
  }

  async *keys(): AsyncGenerator<string> {
    yield* [...this.inside.keys()];
  }

  /** The whole content, as path -> content; the paths of folders end in a slash. */
  tree(prefix = ""): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [name, item] of this.inside) {
      if (item instanceof FakeFile) found[prefix + name] = new TextDecoder().decode(item.content);
      else Object.assign(found, { [`${prefix}${name}/`]: "" }, item.tree(`${prefix}${name}/`));
    }
    return found;
  }

  #get(name: string, make: () => FakeFile | FakeFolder, create: boolean) {
    const found = this.inside.get(name) ?? (create ? make() : undefined);
    if (found === undefined) throw new DOMException("", "NotFoundError");
    this.inside.set(name, found);
    return found;
  }
}

/** Web Locks, as `navigator.locks`. */
export class FakeLocks {
  readonly held = new Set<string>();

  async request(name: string, ...rest: unknown[]): Promise<void> {
    const use = rest.pop() as (lock: object | null) => unknown;
    if (this.held.has(name)) {
      await use(null);
      return;
    }
    this.held.add(name);
    await use({});
    this.held.delete(name);
  }

  async query(): Promise<object> {
    return { held: [...this.held].map((name) => ({ name })) };
  }
}

function grown(content: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(content.subarray(0, size));
  return larger;
}
