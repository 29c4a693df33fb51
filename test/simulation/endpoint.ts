import type { Random } from '../../proxy/core/clock.ts'
import type { EventLoop } from '../support/event-loop.ts'
import type { OpenMessage } from '../support/message-reader.ts'
import { between, pick } from '../support/random.ts'
import type { Upstream, UpstreamEnd } from '../support/upstream.ts'
import { bodyOf, bodySize, chunk, pieces } from './plan.ts'

/** What an endpoint does with a request. Most behave most of the time. */
const behaviours = [
  'good',
  'good',
  'good',
  'good',
  'slow',
  'interim',
  'never',
  'reset',
  'close',
  '503',
  '500',
  'truncate',
  'garbage',
  'stall',
  'idle-close',
] as const

/** Lets an endpoint live: it answers, fails, comes and goes as its chance has it, until `calm`. */
export class SimulatedEndpoint {
  readonly #upstream: Upstream
  readonly #loop: EventLoop
  readonly #random: Random
  calm = false
  /** Answered before the body was whole: not again. */
  readonly #early = new Set<UpstreamEnd>()

  constructor(upstream: Upstream, loop: EventLoop, random: Random) {
    this.#upstream = upstream
    this.#loop = loop
    this.#random = random
    upstream.onHead = (request, connection) => this.#head(request, connection)
    upstream.answer = (request, connection) => this.#answer(request, connection)
    this.#weather()
  }

  /** Now and then it is down, unreachable, slow to accept, or restarts. */
  #weather(): void {
    const random = this.#random
    if (!this.calm) {
      this.#upstream.connect = pick(random, ['accept', 'accept', 'accept', 'accept', 'refuse', 'ignore'])
      this.#upstream.connectMs = pick(random, [0, 1, 30])
      if (random() < 0.1) for (const connection of this.#upstream.open) connection.close()
    } else {
      this.#upstream.connect = 'accept'
      this.#upstream.connectMs = 0
    }
    this.#loop.after(between(random, 50, 400), () => this.#weather())
  }

  #head(request: OpenMessage, connection: UpstreamEnd): void {
    if (this.calm || request.framing === 'none' || this.#random() > 0.1) return
    // Before the body is whole: an early answer, a reset, or no more reading for a while.
    const what = pick(this.#random, ['early', 'reset', 'pause'])
    if (what === 'early') {
      this.#early.add(connection)
      this.#send(connection, Buffer.from('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'))
    } else if (what === 'reset') connection.reset()
    else {
      connection.wire.pause()
      this.#loop.after(between(this.#random, 10, 1000), () => connection.wire.resume())
    }
  }

  #answer(request: OpenMessage, connection: UpstreamEnd): void {
    if (this.#early.has(connection)) return
    const random = this.#random
    const behaviour = this.calm ? 'good' : pick(random, behaviours)
    const delay = this.calm ? 0 : pick(random, [0, 0, 0, 1, 20, 150])
    this.#loop.after(delay, () => {
      if (connection.over) return
      if (behaviour === 'never') return
      if (behaviour === 'reset') return connection.reset()
      if (behaviour === 'close') return connection.close()
      if (behaviour === 'garbage')
        return void connection.send(
          pick(random, [
            'nonsense\r\n\r\n',
            'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
            '\0',
            'HTTP/1.1 200 OK\nA: b\n\n',
          ]),
        )
      if (behaviour === 'interim') connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
      if (behaviour === '503' || behaviour === '500')
        return void connection.send(
          `HTTP/1.1 ${behaviour} No\r\nx-id: ${request.header('x-id')}\r\nContent-Length: 0\r\n\r\n`,
        )
      this.#body(request, connection, behaviour)
    })
  }

  #body(request: OpenMessage, connection: UpstreamEnd, behaviour: string): void {
    const random = this.#random
    const id = request.header('x-id')!
    const size = bodySize(random)
    const framing = pick(random, ['length', 'chunked', 'close'])
    const head = `HTTP/1.1 200 OK\r\nx-id: ${id}\r\nx-size: ${size}\r\nx-framing: ${framing}\r\n${framing === 'length' ? `Content-Length: ${size}\r\n` : framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''}${random() < 0.1 ? 'Connection: close\r\n' : ''}\r\n`
    const writes: Buffer[] = [Buffer.from(head)]
    if (request.method !== 'HEAD') {
      for (const piece of pieces(random, bodyOf(`answer ${id}`, size)))
        writes.push(framing === 'chunked' ? chunk(piece) : piece)
      if (framing === 'chunked') writes.push(Buffer.from(random() < 0.3 ? '0\r\nx-sum: 1\r\n\r\n' : '0\r\n\r\n'))
    }
    // Cut short: always before the last byte that counts.
    const truncated = behaviour === 'truncate' && framing !== 'close' && size > 0 && request.method !== 'HEAD'
    if (truncated) writes.length = between(random, 1, writes.length - 1)
    const slowly = behaviour === 'slow' || behaviour === 'stall'
    let at = 0
    const next = () => {
      if (connection.over) return
      if (at === writes.length) {
        if (truncated || framing === 'close' || /Connection: close/.test(head)) connection.end()
        else if (behaviour === 'idle-close') this.#loop.after(pick(random, [0, 1, 50]), () => connection.close())
        return
      }
      this.#send(connection, writes[at++]!)
      if (slowly) this.#loop.after(behaviour === 'stall' && random() < 0.1 ? 700 : between(random, 0, 30), next)
      else next()
    }
    next()
  }

  /** In one write, or cut somewhere. */
  #send(connection: UpstreamEnd, bytes: Buffer): void {
    const cut = between(this.#random, 0, bytes.length)
    if (this.#random() < 0.7) connection.send(bytes)
    else {
      connection.send(bytes.subarray(0, cut))
      connection.send(bytes.subarray(cut))
    }
  }
}
