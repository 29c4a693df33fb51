/**
 * The encoding of ZooKeeper's messages ("jute"): big-endian integers, texts and buffers with a length before them.
 * Source: zookeeper.jute of Apache ZooKeeper 3.8.
 */

/** Writes one frame: four bytes of length, then what is added. */
export class JuteWriter {
  readonly #parts: Buffer[] = []

  int(value: number): this {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeInt32BE(value)
    return this.#add(bytes)
  }

  long(value: bigint): this {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeBigInt64BE(value)
    return this.#add(bytes)
  }

  bool(value: boolean): this {
    return this.#add(Buffer.from([value ? 1 : 0]))
  }

  buffer(value: Uint8Array): this {
    return this.int(value.length).#add(Buffer.from(value.buffer, value.byteOffset, value.length))
  }

  text(value: string): this {
    return this.buffer(Buffer.from(value))
  }

  frame(): Buffer {
    const body = Buffer.concat(this.#parts)
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(body.length)
    return Buffer.concat([length, body])
  }

  #add(bytes: Buffer): this {
    this.#parts.push(bytes)
    return this
  }
}

/** Reads one frame's body. Throws a RangeError where it ends too early. */
export class JuteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  long(): bigint {
    this.#at += 8
    return this.#bytes.readBigInt64BE(this.#at - 8)
  }

  /** A length of -1 is null in Java: here it is empty. */
  buffer(): Buffer {
    const length = this.int()
    if (length < -1 || this.#at + Math.max(0, length) > this.#bytes.length) throw new RangeError('a length is wrong')
    if (length <= 0) return Buffer.alloc(0)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  text(): string {
    return this.buffer().toString()
  }

  texts(): string[] {
    const count = this.int()
    // Each takes four bytes at least.
    if (count > (this.#bytes.length - this.#at) / 4) throw new RangeError('a count is wrong')
    return Array.from({ length: Math.max(0, count) }, () => this.text())
  }
}

/** What ZooKeeper knows of a znode, as far as it is needed here. */
export interface ZnodeStat {
  /** The transaction that changed its data last: unique in the ensemble, also when a znode is deleted and made anew. */
  readonly changed: string
  /** Milliseconds since the epoch. */
  readonly changedAt: number
  /** Counts its changes: what a conditional write compares. */
  readonly version: number
  /** Bytes. */
  readonly length: number
}

export function readStat(reader: JuteReader): ZnodeStat {
  reader.long()
  const changed = String(reader.long())
  reader.long()
  const changedAt = Number(reader.long())
  const version = reader.int()
  reader.int()
  reader.int()
  reader.long()
  const length = reader.int()
  reader.int()
  reader.long()
  return { changed, changedAt, version, length }
}
