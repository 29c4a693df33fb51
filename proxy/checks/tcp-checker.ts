import type { AddressSpec, TcpCheckSpec } from '../../mesh-config/snapshot.ts'
import type { Timer } from '../core/clock.ts'
import { printable } from '../core/printable.ts'
import type { Wire, WireHandler } from '../core/wire.ts'
import {
  type Checker,
  type CheckerDeps,
  dialFailed,
  HEALTHY,
  type MakeChecker,
  type Outcome,
  tooLate,
} from './checker.ts'

const MOST_BYTES = 16 * 1024
const SHOWN_BYTES = 60

export function tcpChecks(spec: TcpCheckSpec, deps: CheckerDeps): MakeChecker {
  const send = Buffer.from(spec.send, 'hex')
  const receive = spec.receive.map(hex => Buffer.from(hex, 'hex'))
  return address => new TcpChecker(address, send, receive, deps)
}

/** Connects; sends, and looks for what the answer must have. A connection of its own each time. */
class TcpChecker implements Checker, WireHandler {
  readonly #address: AddressSpec
  readonly #send: Buffer
  readonly #receive: readonly Buffer[]
  readonly #deps: CheckerDeps
  readonly #timer: Timer
  #timeoutMs = 0
  #done: ((outcome: Outcome) => void) | null = null
  #cancelDial: (() => void) | null = null
  #wire: Wire | null = null
  #soFar: Buffer = Buffer.alloc(0)

  constructor(address: AddressSpec, send: Buffer, receive: readonly Buffer[], deps: CheckerDeps) {
    this.#address = address
    this.#send = send
    this.#receive = receive
    this.#deps = deps
    this.#timer = deps.clock.timer(() => this.#late())
  }

  check(timeoutMs: number, done: (outcome: Outcome) => void): void {
    this.#timeoutMs = timeoutMs
    this.#done = done
    this.#timer.arm(timeoutMs)
    const { address, port } = this.#address
    this.#cancelDial = this.#deps.dial(address, port, {
      connected: wire => this.#connected(wire),
      failed: code => this.#finish(dialFailed(code)),
    })
  }

  stop(): void {
    this.#done = null
    this.#close()
  }

  #connected(wire: Wire): void {
    this.#cancelDial = null
    this.#wire = wire
    wire.handler = this
    if (this.#send.length === 0 && this.#receive.length === 0) return this.#finish(HEALTHY)
    if (this.#send.length !== 0) wire.write(this.#send)
    if (this.#receive.length === 0) this.#finish(HEALTHY)
  }

  bytes(chunk: Buffer, length: number): void {
    const room = MOST_BYTES - this.#soFar.length
    this.#soFar = Buffer.concat([this.#soFar, chunk.subarray(0, Math.min(length, room))])
    if (this.#hasAll()) this.#finish(HEALTHY)
    else if (this.#soFar.length === MOST_BYTES)
      this.#finish({ kind: 'unhealthy', trouble: `its first ${MOST_BYTES} bytes are not what is expected` })
  }

  #hasAll(): boolean {
    let at = 0
    for (const wanted of this.#receive) {
      const found = this.#soFar.indexOf(wanted, at)
      if (found === -1) return false
      at = found + wanted.length
    }
    return true
  }

  drained(): void {}

  ended(): void {
    this.#finish({ kind: 'failed', trouble: `it closed the connection${this.#said('without an answer')}` })
  }

  closed(error: Error | null): void {
    if (this.#done === null) return
    const how = error === null ? 'closed' : 'reset'
    this.#finish({ kind: 'failed', trouble: `the connection was ${how}${this.#said('without an answer')}` })
  }

  #late(): void {
    const { trouble } = tooLate(this.#timeoutMs)
    this.#finish({ kind: 'failed', trouble: this.#soFar.length === 0 ? trouble : `${trouble}${this.#said('')}` })
  }

  #said(nothing: string): string {
    if (this.#soFar.length === 0) return ` ${nothing}`
    const text = this.#soFar.toString('latin1', 0, SHOWN_BYTES).trim()
    return `, and said only ${printable(JSON.stringify(text))}`
  }

  #finish(outcome: Outcome): void {
    const done = this.#done
    this.#done = null
    this.#close()
    done?.(outcome)
  }

  #close(): void {
    this.#timer.cancel()
    this.#cancelDial?.()
    this.#cancelDial = null
    const wire = this.#wire
    this.#wire = null
    this.#soFar = Buffer.alloc(0)
    if (wire === null) return
    wire.handler = null
    wire.destroy()
  }
}
