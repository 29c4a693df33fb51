import { STATIC_COUNT, STATIC_NAME_INDEX, STATIC_VALUE_INDEX } from './static-table.ts'

/** How a field may be written. */
const INDEXED = 0
/** Values that hardly ever come again would only push others out of the table. */
const UNINDEXED = 1
/**
 * Secrets: kept out of every table on the way, so that they cannot be guessed by the size of what we send (RFC 7541
 * section 7.1).
 */
const SENSITIVE = 2

const policies = new Map<string, number>([
  ...[
    ':path',
    'content-length',
    'date',
    'etag',
    'last-modified',
    'if-none-match',
    'if-modified-since',
    'location',
    'set-cookie',
    'age',
  ].map(unindexed),
  ...[
    'x-request-id',
    'traceparent',
    'tracestate',
    'x-b3-traceid',
    'x-b3-spanid',
    'x-b3-parentspanid',
    'b3',
    'grpc-timeout',
    'grpc-message',
  ].map(unindexed),
  ['authorization', SENSITIVE],
  ['proxy-authorization', SENSITIVE],
])

function unindexed(name: string): [string, number] {
  return [name, UNINDEXED]
}

/** No field is called so. */
const UNKEPT = ''
policies.set(UNKEPT, UNINDEXED)

/** A short cookie could be guessed a byte at a time, as nghttp2 and others fear too. */
const SHORT_COOKIE = 20
const ENTRY_OVERHEAD = 32
/**
 * Names in mind at most: those of the table, which 4 KiB limit to 128, and as many to remember that they are not worth
 * it.
 */
const MAX_NAMES = 512
/** A longer name seldom comes again, and takes room: 512 of them could be 30 MiB. */
const LONGEST_NAME = 256
/** So many values of a name in a row never came again: it is left out, and tried anew once in a while. */
const GIVE_UP = 16
const TRY_AGAIN = 64
/** Up to here a loop over the characters is faster than a call into Node. */
const SHORT_TEXT = 20

/** Of all names whose values are in no table. */
const NO_VALUES = new Map<string, number>()

/** What is known of one field name. */
class Name {
  readonly staticIndex: number
  readonly staticValues: ReadonlyMap<string, number> | undefined
  readonly policy: number
  /** Values in the dynamic table: the number of their insertion. */
  readonly values: Map<string, number>
  /** The value used last, and its insertion; 0: none. */
  value = ''
  insertion = 0
  /** The youngest insertion with this name. */
  newest = 0
  misses = 0

  constructor(name: string) {
    this.staticIndex = STATIC_NAME_INDEX.get(name) ?? 0
    this.staticValues = STATIC_VALUE_INDEX.get(name)
    this.policy = policies.get(name) ?? INDEXED
    this.values = this.policy === UNINDEXED || this.policy === SENSITIVE ? NO_VALUES : new Map()
  }
}

/** Stands for all that are too long to be kept: in no table, and of no value that is. */
const unkept = new Name(UNKEPT)

interface Entry {
  readonly name: Name
  readonly value: string
  readonly size: number
}

/**
 * One direction of a connection (RFC 7541). Fields that come again become one byte. Strings are written as they are,
 * not in Huffman code: between services bytes are cheap, and each would be paid for in time on both sides.
 */
export class Encoder {
  /**
   * Where the block is written. When it does not fit, `out` becomes a larger buffer with the same bytes at the same
   * place.
   */
  out: Buffer
  at = 0
  readonly #limit: number
  readonly #names = new Map<string, Name>()
  #entries: Entry[] = []
  /** Where the oldest one of `#entries` is. */
  #oldest = 0
  #size = 0
  #maxSize: number
  /** Insertions so far. */
  #inserted = 0
  /** Insertions that have left the table again. */
  #evicted = 0
  /** The smallest size the table had since the last block; -1: nothing to tell. */
  #smallest = -1

  constructor(out: Buffer, limit: number) {
    this.out = out
    this.#limit = limit
    this.#maxSize = Math.min(4096, limit)
  }

  get size(): number {
    return this.#size
  }

  /** The names in mind, for tests. */
  get names(): Iterable<string> {
    return this.#names.keys()
  }

  /** What the peer's SETTINGS allow. */
  resize(allowed: number): void {
    const size = Math.min(allowed, this.#limit)
    if (size === this.#maxSize && this.#smallest < 0) return
    this.#smallest = this.#smallest < 0 ? size : Math.min(this.#smallest, size)
    this.#maxSize = size
    this.#evict(size)
  }

  /** A block begins at `at` of `out`. */
  begin(out: Buffer, at: number): void {
    this.out = out
    this.at = at
    if (this.#smallest < 0) return
    this.#room(16)
    if (this.#smallest < this.#maxSize) this.#integer(0x20, 0x1f, this.#smallest)
    this.#integer(0x20, 0x1f, this.#maxSize)
    this.#smallest = -1
  }

  /** `name` in lower case. */
  field(name: string, value: string, sensitive: boolean): void {
    let known = this.#names.get(name)
    if (known === undefined) known = this.#learn(name)
    if (known.insertion > this.#evicted && known.value === value && !sensitive)
      return this.#indexed(STATIC_COUNT + 1 + this.#inserted - known.insertion)
    this.#room(name.length + value.length + 16)
    const { policy } = known
    if (sensitive || policy === SENSITIVE || (value.length < SHORT_COOKIE && name === 'cookie'))
      return this.#literal(known, name, value, 0x10, 0x0f)
    const fixed = known.staticValues?.get(value)
    if (fixed !== undefined) return this.#indexed(fixed)
    if (policy === UNINDEXED) return this.#literal(known, name, value, 0, 0x0f)
    const insertion = known.values.get(value)
    if (insertion !== undefined) {
      known.misses = 0
      known.value = value
      known.insertion = insertion
      return this.#indexed(STATIC_COUNT + 1 + this.#inserted - insertion)
    }
    const size = name.length + value.length + ENTRY_OVERHEAD
    const hopeless = ++known.misses > GIVE_UP && known.misses % TRY_AGAIN !== 0
    if (hopeless || size > this.#maxSize * 0.75) return this.#literal(known, name, value, 0, 0x0f)
    this.#literal(known, name, value, 0x40, 0x3f)
    this.#add(known, value, size)
  }

  #learn(name: string): Name {
    if (name.length > LONGEST_NAME) return unkept
    if (this.#names.size >= MAX_NAMES)
      for (const [other, { values }] of this.#names) if (values.size === 0) this.#names.delete(other)
    const known = new Name(name)
    this.#names.set(name, known)
    return known
  }

  #add(known: Name, value: string, size: number): void {
    this.#evict(this.#maxSize - size)
    this.#entries.push({ name: known, value, size })
    this.#size += size
    const insertion = ++this.#inserted
    known.values.set(value, insertion)
    known.value = value
    known.insertion = insertion
    known.newest = insertion
  }

  #evict(size: number): void {
    while (this.#size > size) {
      const { name, value, size: freed } = this.#entries[this.#oldest++]!
      this.#size -= freed
      this.#evicted++
      if (name.values.get(value) === this.#evicted) name.values.delete(value)
    }
    if (this.#oldest > 128 && this.#oldest * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#oldest)
      this.#oldest = 0
    }
  }

  #indexed(index: number): void {
    this.#room(8)
    if (index < 0x7f) this.out[this.at++] = 0x80 | index
    else this.#integer(0x80, 0x7f, index)
  }

  #literal(known: Name, name: string, value: string, flag: number, mask: number): void {
    const index =
      known.staticIndex !== 0
        ? known.staticIndex
        : known.newest > this.#evicted
          ? STATIC_COUNT + 1 + this.#inserted - known.newest
          : 0
    this.#integer(flag, mask, index)
    if (index === 0) this.#string(name)
    this.#string(value)
  }

  #integer(flag: number, mask: number, value: number): void {
    const out = this.out
    if (value < mask) {
      out[this.at++] = flag | value
      return
    }
    out[this.at++] = flag | mask
    let rest = value - mask
    while (rest >= 0x80) {
      out[this.at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    out[this.at++] = rest
  }

  /** A byte a character, as all texts of heads are. */
  #string(text: string): void {
    const { length } = text
    this.#integer(0, 0x7f, length)
    const out = this.out
    let at = this.at
    if (length > SHORT_TEXT) at += out.latin1Write(text, at, length)
    else for (let i = 0; i < length; i++) out[at++] = text.charCodeAt(i)
    this.at = at
  }

  #room(bytes: number): void {
    if (this.at + bytes <= this.out.length) return
    const larger = Buffer.allocUnsafeSlow(2 * (this.at + bytes))
    this.out.copy(larger, 0, 0, this.at)
    this.out = larger
  }
}
