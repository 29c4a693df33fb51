import type { Clock } from '../core/clock.ts'
import type { Dial, Wire } from '../core/wire.ts'
import { ITSELF } from '../pool/not-itself.ts'

/** A connection comes back within the time that it takes to be made. */
const KEPT_MS = 10_000
/** Before the oldest is forgotten. */
const MOST_KEPT = 4_096
/** Between two warnings. */
const QUIET_MS = 60_000

/**
 * Finds connections of this sidecar that were redirected to itself, because the rules do not exempt its user: each
 * would be dialled again for ever. Where a connection comes from and where it was going tell it from all others, at
 * both of its ends; whichever is seen second finds the first.
 */
export class OwnConnections {
  readonly #clock: Clock
  readonly #warn: (listener: string, detail: string) => void
  readonly #dialled = new Map<string, number>()
  /** The names of the listeners that took them. */
  readonly #accepted = new Map<string, { readonly listener: string; readonly at: number }>()
  #warnedAt = Number.NEGATIVE_INFINITY
  /** Connections are redirected here. */
  isOn = false

  constructor(clock: Clock, warn: (listener: string, detail: string) => void) {
    this.#clock = clock
    this.#warn = warn
  }

  /** The same, but for connections that turn out to have come back. */
  dial(dial: Dial): Dial {
    return (address, port, listener) =>
      dial(address, port, {
        connected: wire => {
          const from = this.isOn ? this.#cameBack(wire) : null
          if (from === null) return listener.connected(wire)
          wire.destroy()
          listener.failed(`${ITSELF}${from}`)
        },
        failed: code => listener.failed(code),
      })
  }

  /** Of a redirected connection: it is one of ours, and was reset. */
  isOwn(wire: Wire, listener: string): boolean {
    const original = wire.original()
    if (original === null) return false
    const { address, port } = wire.peer
    const key = `${address}:${port}>${original.address}:${original.port}`
    const now = this.#clock.now()
    const at = this.#dialled.get(key)
    if (at !== undefined && now - at < KEPT_MS) {
      this.#say(listener, now)
      wire.reset()
      return true
    }
    makeRoom(this.#accepted)
    this.#accepted.set(key, { listener, at: now })
    return false
  }

  /** The listener that has it as well; null: it went elsewhere. */
  #cameBack({ peer }: Wire): string | null {
    const key = `${peer.local}:${peer.localPort}>${peer.address}:${peer.port}`
    const now = this.#clock.now()
    const accepted = this.#accepted.get(key)
    if (accepted !== undefined && now - accepted.at < KEPT_MS) {
      this.#say(accepted.listener, now)
      return accepted.listener
    }
    makeRoom(this.#dialled)
    this.#dialled.set(key, now)
    return null
  }

  #say(listener: string, now: number): void {
    if (now - this.#warnedAt < QUIET_MS) return
    this.#warnedAt = now
    this.#warn(
      listener,
      'connections of this sidecar are redirected to itself, and were closed: the redirect rules have to exempt its user (`outrigger intercept up` exempts 1337)',
    )
  }
}

/** Maps keep the order in which entries came. */
function makeRoom(kept: Map<string, unknown>): void {
  if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value!)
}
