import type { Caller } from './caller.ts'
import type { Mesh } from './mesh.ts'
import type { OpenMessage } from './message-reader.ts'

export interface Listener {
  /** The head of an answer; never twice, if all is well. */
  head?(answer: OpenMessage): void
  /** The answer is whole, or the connection has ended; undefined: there was none. */
  over(answer: OpenMessage | undefined): void
}

/** Kept HTTP/1.1 connections to a listener, as an application has them: one request at a time on each. */
export class KeptCallers {
  readonly #mesh: Mesh
  readonly #idle: Caller[] = []

  constructor(mesh: Mesh) {
    this.#mesh = mesh
  }

  /** Sends `head` (with its empty line) and what follows it. Returns the connection, which may be given up. */
  ask(head: string, method: string, listener: Listener, body: Buffer | null = null): Caller {
    const caller = this.#take()
    const before = caller.responses.length
    let heads = 0
    let isOver = false
    const look = () => {
      const answer = caller.responses[before]
      for (; heads < caller.responses.length - before; heads++) listener.head?.(caller.responses[before + heads]!)
      if (isOver || !(answer?.whole || caller.over || caller.gotEnd)) return
      isOver = true
      if (answer?.whole && answer.header('connection') !== 'close') this.#idle.push(caller)
      listener.over(answer)
    }
    caller.wire.handler = {
      bytes(chunk, length) {
        caller.bytes(chunk, length)
        look()
      },
      drained() {},
      ended() {
        caller.ended()
        look()
      },
      closed(error) {
        caller.closed(error)
        look()
      },
    }
    caller.send(head, method)
    if (body !== null) caller.sendMore(body)
    return caller
  }

  #take(): Caller {
    for (let caller = this.#idle.pop(); caller !== undefined; caller = this.#idle.pop())
      if (!caller.over && !caller.gotEnd) return caller
    const caller = this.#mesh.caller()
    caller.keep = false
    return caller
  }
}
