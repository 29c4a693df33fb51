import { Account, UNLIMITED } from '../../proxy/core/ledger.ts'
import type { Peer, Wire, WireHandler } from '../../proxy/core/wire.ts'
import { testTurns, turn } from './turns.ts'

const POISON = 0xee

/**
 * A wire with a test at its other end: it is fed by hand and keeps what is written. For the codec alone, without an
 * event loop.
 */
export class TapeWire implements Wire {
  readonly peer: Peer = { address: '192.0.2.1', port: 40_000, local: '127.0.0.1', localPort: 8000 }
  handler: WireHandler | null = null
  bufferBytes = 1024 * 1024
  ledger = UNLIMITED
  turns = testTurns
  readonly account = new Account(UNLIMITED, this)
  unsent = 0
  paused = false
  /** How it was closed, if it was. */
  closing: '' | 'end' | 'destroy' | 'reset' = ''
  readonly writes: Buffer[] = []
  #scratch = Buffer.alloc(64 * 1024)
  readonly #waiting: Buffer[] = []

  get written(): string {
    return Buffer.concat(this.writes).toString('latin1')
  }

  original() {
    return null
  }

  write(bytes: Buffer): boolean {
    this.writes.push(Buffer.from(bytes))
    this.#sent(bytes)
    return true
  }

  writeTwo(first: Buffer, second: Buffer): boolean {
    this.writes.push(Buffer.concat([first, second]))
    this.#sent(first)
    this.#sent(second)
    return true
  }

  /** What lay in the scratch buffer is gone, and the next one may be another. */
  #sent(bytes: Buffer): void {
    if (bytes.buffer !== this.#scratch.buffer) return
    bytes.fill(POISON)
  }

  scratch(): Buffer {
    return this.#scratch
  }

  end(): void {
    if (this.closing === '') this.closing = 'end'
  }

  destroy(): void {
    this.closing = 'destroy'
  }

  reset(): void {
    this.closing = 'reset'
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  expect(): void {}

  /** One read. As a socket does, nothing is delivered while paused or after the close. */
  feed(bytes: Buffer): void {
    this.#waiting.push(bytes)
    while (!this.paused && this.#waiting.length !== 0) {
      const chunk = Buffer.from(this.#waiting.shift()!)
      if (this.closing === 'destroy' || this.closing === 'reset') return
      turn(() => {
        this.handler?.bytes(chunk, chunk.length)
        chunk.fill(POISON)
      })
    }
  }

  /** The other end has said all. */
  feedEnd(): void {
    if (this.closing === 'destroy' || this.closing === 'reset') return
    turn(() => this.handler?.ended())
  }
}
