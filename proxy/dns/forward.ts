import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Timer } from '../core/clock.ts'
import type { AskByDatagram, DatagramListener } from '../core/datagrams.ts'
import type { Dial } from '../core/wire.ts'
import { askByStream } from './ask-by-stream.ts'
import { answers, type Query, rcodeOf, rcodes, withId } from './message.ts'
import type { NameServers } from './name-servers.ts'

/** The next server is asked after this part of the time. */
const PARTS = 4

export interface ForwarderDeps {
  readonly servers: NameServers
  readonly timeoutMs: number
  readonly clock: Clock
  /** Not to be guessed. */
  readonly randomId: () => number
  readonly ask: AskByDatagram
  readonly dial: Dial
  readonly count: { sent(overTcp: boolean): void; timedOut(): void }
}

/** Why there is no answer. */
export type NoAnswer = 'late' | 'failed' | 'no server'

export interface Forwarder {
  /**
   * Asks the servers, and calls `done` once, later: with the answer as it came but for its id. The returned function
   * gives up.
   */
  forward(query: Query, bytes: Buffer, overTcp: boolean, done: (answer: Buffer | NoAnswer) => void): () => void
  /** A query that this forwarder sent has come back to us. */
  isOwn(query: Query): boolean
}

export function forwarder(deps: ForwarderDeps): Forwarder {
  /** Sent, and not answered yet: by id. */
  const sent = new Map<number, Buffer>()

  return {
    forward(query, bytes, overTcp, done) {
      const one = new Forwarding(deps, sent, query, bytes, overTcp, done)
      one.start()
      return () => one.stop()
    },
    isOwn: ({ id, question }) => sent.get(id)?.equals(question) ?? false,
  }
}

/** One query on its way: asked of one server after the other, until one answers. */
class Forwarding {
  readonly #deps: ForwarderDeps
  readonly #sent: Map<number, Buffer>
  readonly #query: Query
  readonly #bytes: Buffer
  readonly #overTcp: boolean
  readonly #done: (answer: Buffer | NoAnswer) => void
  readonly #timer: Timer
  readonly #deadline: number
  #servers: readonly AddressSpec[] = []
  /** How often a server was asked; and how many have neither answered nor failed. */
  #asked = 0
  #open = 0
  readonly #cancels: (() => void)[] = []
  /** An answer that another server may better; null: none came. */
  #poor: Buffer | null = null
  #isOver = false

  constructor(
    deps: ForwarderDeps,
    sent: Map<number, Buffer>,
    query: Query,
    bytes: Buffer,
    overTcp: boolean,
    done: (answer: Buffer | NoAnswer) => void,
  ) {
    this.#deps = deps
    this.#sent = sent
    this.#query = query
    this.#bytes = bytes
    this.#overTcp = overTcp
    this.#done = done
    this.#timer = deps.clock.timer(() => this.#late())
    this.#deadline = deps.clock.now() + deps.timeoutMs
  }

  start(): void {
    this.#timer.arm(this.#deps.timeoutMs / PARTS)
    const refreshed = this.#deps.servers.refresh()
    if (refreshed === null) this.#begin()
    else void refreshed.then(() => this.#begin())
  }

  stop(): void {
    this.#isOver = true
    this.#timer.cancel()
    for (const cancel of this.#cancels.splice(0)) cancel()
  }

  #begin(): void {
    if (this.#isOver) return
    this.#servers = this.#deps.servers.inOrder()
    if (this.#servers.length === 0) this.#finish('no server')
    else this.#askNext()
  }

  #askNext(): void {
    const { randomId, ask, dial, count } = this.#deps
    const server = this.#servers[this.#asked % this.#servers.length]!
    const id = this.#freshId(randomId)
    this.#asked++
    this.#open++
    this.#sent.set(id, this.#query.question)
    let isOpen = true
    const close = () => {
      if (!isOpen) return
      isOpen = false
      this.#open--
      this.#sent.delete(id)
      cancel()
    }
    const listener: DatagramListener = {
      received: bytes => {
        // Not what was asked: a late answer to another one, or a forged one.
        if (!isOpen || !answers(bytes, id, this.#query.question)) return
        close()
        this.#answered(server, bytes)
      },
      failed: () => {
        if (!isOpen) return
        close()
        this.#deps.servers.failed(server)
        this.#without()
      },
    }
    this.#cancels.push(close)
    count.sent(this.#overTcp)
    const bytes = withId(this.#bytes, id)
    const cancel = this.#overTcp ? askByStream(dial, server, bytes, listener) : ask(server, bytes, listener)
  }

  /** No two queries under way have the same. */
  #freshId(randomId: () => number): number {
    let id = randomId()
    while (this.#sent.has(id)) id = (id + 1) & 0xffff
    return id
  }

  #answered(server: AddressSpec, bytes: Buffer): void {
    const rcode = rcodeOf(bytes)
    this.#deps.servers.answered(server)
    const isPoor = rcode === rcodes.servFail || rcode === rcodes.refused || rcode === rcodes.notImp
    if (!isPoor) return this.#finish(withId(bytes, this.#query.id))
    this.#poor = bytes
    this.#without()
  }

  /** One server has nothing to say: the next, while there is one that was not asked. */
  #without(): void {
    if (this.#isOver) return
    if (this.#asked < this.#servers.length) this.#askNext()
    else if (this.#open === 0) this.#finish(this.#whatThereIs('failed'))
  }

  #late(): void {
    const now = this.#deps.clock.now()
    if (this.#asked > 0) this.#deps.servers.failed(this.#servers[(this.#asked - 1) % this.#servers.length]!)
    if (now >= this.#deadline) {
      this.#deps.count.timedOut()
      return this.#finish(this.#whatThereIs('late'))
    }
    this.#timer.arm(Math.min(this.#deps.timeoutMs / PARTS, this.#deadline - now))
    if (this.#servers.length > 0) this.#askNext()
  }

  #whatThereIs(otherwise: NoAnswer): Buffer | NoAnswer {
    return this.#poor === null ? otherwise : withId(this.#poor, this.#query.id)
  }

  #finish(answer: Buffer | NoAnswer): void {
    if (this.#isOver) return
    this.stop()
    this.#done(answer)
  }
}
