import type { Clock, Timer } from '../core/clock.ts'
import type { Wire, WireHandler } from '../core/wire.ts'
import type { Answerer } from './answerer.ts'
import { framed, MessageStream } from './message-stream.ts'
import type { Waiting } from './waiting.ts'

/** A query is a name and a few options. */
export const LONGEST_QUERY = 4096
/** Without a whole query for so long, and none to be answered: it is closed (RFC 7766 section 6.2.3). */
const IDLE_MS = 10_000
/** Queries of one connection under way; the next are read when some are answered. */
const MOST_AT_ONCE = 64
/** A client that does not read its answers. */
const MOST_UNSENT = 256 * 1024

export interface TcpClientsDeps {
  readonly most: number
  readonly clock: Clock
  readonly waiting: Waiting
  readonly answer: Answerer
}

export interface TcpClients {
  accept(wire: Wire): void
  readonly size: number
  closeAll(): void
}

export function tcpClients(deps: TcpClientsDeps): TcpClients {
  /** The one that has been silent for the longest comes first. */
  const open = new Set<Client>()
  let accepted = 0
  const owner: ClientOwner = {
    deps,
    moved(client) {
      if (open.delete(client)) open.add(client)
    },
    closed: client => void open.delete(client),
  }

  return {
    accept(wire) {
      if (open.size >= deps.most) {
        const idle = [...open].find(client => client.isIdle)
        if (idle === undefined) return wire.destroy()
        open.delete(idle)
        idle.close()
      }
      open.add(new Client(owner, wire, `connection ${++accepted}`))
    },
    get size() {
      return open.size
    },
    closeAll() {
      for (const client of [...open]) client.close()
    },
  }
}

interface ClientOwner {
  readonly deps: TcpClientsDeps
  moved(client: Client): void
  closed(client: Client): void
}

class Client implements WireHandler {
  readonly #owner: ClientOwner
  readonly #wire: Wire
  readonly #name: string
  readonly #messages = new MessageStream(LONGEST_QUERY)
  readonly #idle: Timer
  #underWay = 0
  #isPaused = false
  #hasEnded = false
  #isClosed = false

  constructor(owner: ClientOwner, wire: Wire, name: string) {
    this.#owner = owner
    this.#wire = wire
    this.#name = name
    this.#idle = owner.deps.clock.timer(() => this.close())
    this.#idle.arm(IDLE_MS)
    wire.handler = this
  }

  get isIdle(): boolean {
    return this.#underWay === 0
  }

  bytes(chunk: Buffer, length: number): void {
    this.#messages.push(chunk, length)
    this.#read()
  }

  #read(): void {
    while (!this.#isClosed && this.#underWay < MOST_AT_ONCE) {
      const message = this.#messages.next()
      if (message === null) break
      this.#owner.moved(this)
      this.#ask(message)
    }
    if (this.#messages.isBroken) this.close()
    else if (this.#underWay >= MOST_AT_ONCE && !this.#isPaused) {
      this.#isPaused = true
      this.#wire.pause()
    }
  }

  #ask(message: Buffer): void {
    let isOpen = true
    this.#underWay++
    this.#idle.cancel()
    const isTaken = this.#owner.deps.answer(message, {
      client: this.#name,
      overTcp: true,
      reply: answer => {
        if (!isOpen) return
        isOpen = false
        this.#answered(answer)
      },
    })
    if (!isTaken) this.close()
  }

  #answered(answer: Buffer): void {
    this.#underWay--
    if (this.#isClosed) return
    if (this.#wire.unsent > MOST_UNSENT) return this.close()
    this.#wire.write(framed(answer))
    if (this.#underWay === 0) {
      if (this.#hasEnded) return this.#wire.end()
      this.#idle.arm(IDLE_MS)
    }
    if (!this.#isPaused || this.#underWay > MOST_AT_ONCE / 2) return
    this.#isPaused = false
    this.#wire.resume()
    this.#read()
  }

  drained(): void {}

  ended(): void {
    this.#hasEnded = true
    if (this.#underWay === 0) this.#wire.end()
  }

  closed(): void {
    this.#over()
  }

  close(): void {
    this.#over()
    this.#wire.destroy()
  }

  #over(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#idle.cancel()
    this.#owner.closed(this)
    this.#owner.deps.waiting.endAll(this.#name)
  }
}
