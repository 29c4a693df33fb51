import { Account, UNLIMITED } from '../../proxy/core/ledger.ts'
import type { Original, Peer, Wire, WireHandler } from '../../proxy/core/wire.ts'
import type { EventLoop } from './event-loop.ts'
import { testTurns, turn } from './turns.ts'

export interface WireOptions {
  /** The link to the other end. */
  readonly latencyMs?: number
  /** Bytes under way or in the other end's kernel: further ones wait in the sender. */
  readonly window?: number
  /** Unsent bytes above which `write` says stop; a quarter of `bufferBytes` by default. */
  readonly highWatermark?: number
  /** How many bytes the next read takes at most. */
  readonly readSize?: () => number
}

const READ = 64 * 1024
/**
 * Overwrites bytes that were read, or written from the scratch buffer, as soon as the contract allows, so that a kept
 * view shows as an error.
 */
const POISON = 0xee
const sharedRead = Buffer.alloc(READ)
const scratches = [Buffer.alloc(READ), Buffer.alloc(READ)]
let scratchAt = 0

/** The two ends of a connection without a network. */
export function wirePair(
  loop: EventLoop,
  options: WireOptions = {},
  addresses: { readonly a?: Peer; readonly b?: Peer } = {},
): [MemoryWire, MemoryWire] {
  const a = new MemoryWire(loop, options, addresses.a ?? PEER)
  const b = new MemoryWire(loop, options, addresses.b ?? PEER)
  a.join(b)
  return [a, b]
}

const PEER: Peer = { address: '127.0.0.1', port: 40_000, local: '127.0.0.1', localPort: 8000 }

/**
 * Behaves as a TCP socket does, the unpleasant parts too: closing with unread bytes resets the other end, which may
 * lose what it had not read.
 */
export class MemoryWire implements Wire {
  readonly peer: Peer
  handler: WireHandler | null = null
  bufferBytes = 1024 * 1024
  ledger = UNLIMITED
  readonly turns = testTurns
  #account: Account | null = null
  #counted = 0
  /** Bytes written that the other end has not read. */
  readonly #queue: Buffer[] = []
  #queued = 0
  #ending = false
  #endTold = false
  #endSeen = false
  #dead = false
  #paused = false
  #pumping = false
  #mustDrain = false
  #other!: MemoryWire
  readonly #loop: EventLoop
  readonly #latency: number
  readonly #window: number
  readonly #high: number | undefined
  readonly #readSize: () => number
  /** For assertions. */
  writes = 0
  peakUnsent = 0
  expected = 0
  wasReset = false
  destroyed = false

  constructor(loop: EventLoop, options: WireOptions, peer: Peer) {
    this.#loop = loop
    this.peer = peer
    this.#latency = options.latencyMs ?? 0
    this.#window = options.window ?? READ
    this.#high = options.highWatermark
    this.#readSize = options.readSize ?? (() => READ)
  }

  original(): Original | null {
    return this.peer.original ?? null
  }

  join(other: MemoryWire): void {
    this.#other = other
    other.#other = this
  }

  get unsent(): number {
    return Math.max(0, this.#queued - this.#window)
  }

  get account(): Account {
    this.#account ??= new Account(this.ledger, this)
    return this.#account
  }

  #count(): void {
    const unsent = this.#dead ? 0 : this.unsent
    if (unsent !== this.#counted) this.account.add(unsent - this.#counted)
    this.#counted = unsent
  }

  get paused(): boolean {
    return this.#paused
  }

  write(bytes: Buffer): boolean {
    this.writes++
    return this.#write(bytes)
  }

  writeTwo(first: Buffer, second: Buffer): boolean {
    this.writes++
    this.#write(first)
    return this.#write(second)
  }

  #write(bytes: Buffer): boolean {
    if (this.#ending && !this.#dead) throw new Error('written after the end')
    if (!this.#dead && bytes.length !== 0) {
      this.#queue.push(Buffer.from(bytes))
      this.#queued += bytes.length
      this.peakUnsent = Math.max(this.peakUnsent, this.unsent)
    }
    if (scratches.some(({ buffer }) => buffer === bytes.buffer)) {
      bytes.fill(POISON)
      scratchAt ^= 1
    }
    if (this.#dead) return true
    if (this.#other.#dead) {
      this.#loop.after(this.#latency, () => this.#gotReset())
      return true
    }
    this.#other.#pump()
    this.#count()
    if (this.unsent > Math.min(this.#high ?? this.bufferBytes / 4, this.ledger.mark)) this.#mustDrain = true
    return !this.#mustDrain
  }

  scratch(): Buffer {
    return scratches[scratchAt]!
  }

  end(): void {
    if (this.#ending || this.#dead) return
    this.#ending = true
    this.#other.#pump()
    this.#closeIfOver()
  }

  destroy(): void {
    if (this.#dead) return
    this.destroyed = true
    const unread = this.#other.#queued > 0
    this.#die(null)
    if (unread) {
      this.#loop.after(this.#latency, () => this.#other.#gotReset())
      return
    }
    // Bytes in the kernel are still sent; others are lost.
    while (this.unsent > 0) {
      const last = this.#queue[this.#queue.length - 1]!
      const cut = Math.min(this.unsent, last.length)
      this.#queued -= cut
      if (cut === last.length) this.#queue.pop()
      else this.#queue[this.#queue.length - 1] = last.subarray(0, last.length - cut)
    }
    this.#ending = true
    this.#other.#pump()
  }

  reset(): void {
    if (this.#dead) return
    this.wasReset = true
    this.#die(null)
    this.#drop()
    this.#loop.after(this.#latency, () => this.#other.#gotReset())
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#pump()
  }

  expect(bytes: number): void {
    this.expected = bytes
  }

  #gotReset(): void {
    if (this.#dead) return
    this.#other.#drop()
    this.#drop()
    this.#die(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
  }

  #drop(): void {
    this.#queue.length = 0
    this.#queued = 0
  }

  #die(error: Error | null): void {
    this.#dead = true
    this.#count()
    this.#loop.after(0, () => turn(() => this.handler?.closed(error)))
  }

  /** Both ends have ended and all bytes have left. */
  #closeIfOver(): void {
    if (!this.#dead && this.#ending && this.#endSeen && this.unsent === 0) this.#die(null)
  }

  /** Schedules the reading of what the other end sent. */
  #pump(): void {
    if (this.#pumping || this.#paused || this.#dead) return
    const from = this.#other
    if (from.#queued === 0 && (!from.#ending || from.#endTold)) return
    this.#pumping = true
    this.#loop.after(this.#latency, () => {
      this.#pumping = false
      this.#read()
      this.#pump()
    })
  }

  #read(): void {
    if (this.#paused || this.#dead) return
    const from = this.#other
    if (from.#queued === 0) {
      if (!from.#ending || from.#endTold) return
      from.#endTold = true
      this.#endSeen = true
      turn(() => this.handler?.ended())
      this.#closeIfOver()
      return
    }
    const length = from.#take(Math.max(1, Math.min(this.#readSize(), READ)))
    turn(() => {
      this.handler?.bytes(sharedRead, length)
      sharedRead.fill(POISON, 0, length)
    })
    from.#left()
  }

  /** Moves the first bytes of the queue into the read buffer. */
  #take(most: number): number {
    let length = 0
    while (length < most && this.#queue.length !== 0) {
      const first = this.#queue[0]!
      const count = Math.min(first.length, most - length)
      first.copy(sharedRead, length, 0, count)
      length += count
      if (count === first.length) this.#queue.shift()
      else this.#queue[0] = first.subarray(count)
    }
    this.#queued -= length
    return length
  }

  #left(): void {
    this.#count()
    if (this.#dead || this.unsent > 0) return
    if (this.#mustDrain) {
      this.#mustDrain = false
      this.#loop.after(0, () => {
        if (!this.#dead) turn(() => this.handler?.drained())
      })
    }
    this.#closeIfOver()
  }
}
