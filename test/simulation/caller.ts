import type { Random } from '../../proxy/core/clock.ts'
import type { Caller } from '../support/caller.ts'
import type { Mesh } from '../support/mesh.ts'
import { between, pick } from '../support/random.ts'
import { bodyOf, bodySize, chunk, pieces } from './plan.ts'

export interface SentRequest {
  readonly id: string
  readonly method: string
  readonly size: number
  /** All of it was handed to the wire. */
  whole: boolean
}

/** Asks, waits or not, reads or not, and may leave in the middle. */
export class SimulatedCaller {
  readonly #mesh: Mesh
  readonly #random: Random
  readonly #name: string
  /** Connections, each with what was asked on it. */
  readonly connections: { readonly caller: Caller; readonly sent: SentRequest[]; left: boolean }[] = []
  #count = 0
  calm = false

  constructor(mesh: Mesh, random: Random, name: string) {
    this.#mesh = mesh
    this.#random = random
    this.#name = name
    this.#later(between(random, 0, 200))
  }

  #later(ms: number): void {
    this.#mesh.loop.after(ms, () => this.#act())
  }

  #act(): void {
    if (this.calm) return
    const random = this.#random
    let connection = this.connections.at(-1)
    if (
      connection === undefined ||
      connection.left ||
      connection.caller.over ||
      connection.caller.gotEnd ||
      random() < 0.05
    ) {
      connection = { caller: this.#mesh.caller(), sent: [], left: false }
      this.connections.push(connection)
    }
    const { caller } = connection
    if (random() < 0.06) {
      connection.left = true
      pick(random, [() => caller.close(), () => caller.end(), () => caller.wire.reset()])()
    } else if (random() < 0.1) {
      caller.wire.pause()
      this.#mesh.loop.after(between(random, 1, 800), () => caller.wire.resume())
    } else if (connection.sent.every(({ whole }) => whole))
      for (let i = random() < 0.3 ? between(random, 2, 6) : 1; i > 0; i--) if (!this.#ask(connection)) break
    this.#later(between(random, 1, 120))
  }

  /** True: it went out whole at once, so another one may follow. */
  #ask(connection: SimulatedCaller['connections'][number]): boolean {
    const random = this.#random
    const { caller } = connection
    const method = pick(random, ['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE'])
    const size = method === 'GET' || method === 'HEAD' ? 0 : bodySize(random)
    const request: SentRequest = { id: `${this.#name}-${++this.#count}`, method, size, whole: false }
    connection.sent.push(request)
    const framing =
      size === 0 && random() < 0.5
        ? ''
        : random() < 0.5
          ? `Content-Length: ${size}\r\n`
          : 'Transfer-Encoding: chunked\r\n'
    const expect = framing !== '' && random() < 0.1 ? 'Expect: 100-continue\r\n' : ''
    const close = random() < 0.05 ? 'Connection: close\r\n' : ''
    const writes: Buffer[] = [
      Buffer.from(
        `${method} /${request.id} HTTP/1.1\r\nHost: orders\r\nx-id: ${request.id}\r\nx-size: ${size}\r\n${framing}${expect}${close}\r\n`,
      ),
    ]
    for (const piece of pieces(random, bodyOf(`request ${request.id}`, size)))
      writes.push(framing.startsWith('T') ? chunk(piece) : piece)
    if (framing.startsWith('T')) writes.push(Buffer.from('0\r\n\r\n'))
    const slowly = random() < 0.15
    const first = writes.shift()!
    const cut = slowly ? between(random, 1, first.length - 1) : first.length
    caller.send(first.subarray(0, cut), method)
    if (cut < first.length) writes.unshift(first.subarray(cut))
    const next = () => {
      const bytes = writes.shift()
      if (bytes === undefined) {
        request.whole = true
        return
      }
      if (connection.left || caller.over || caller.gotEnd) return
      caller.sendMore(bytes)
      if (slowly) this.#mesh.loop.after(between(random, 0, random() < 0.05 ? 500 : 40), next)
      else next()
    }
    next()
    return request.whole
  }
}
