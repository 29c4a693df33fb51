import { type Fault, IDLE_CLOSE_MS, SLOW_FACTOR } from '../../../bench/resilience/fault.ts'
import type { Random } from '../../../proxy/core/clock.ts'
import type { EventLoop } from '../../support/event-loop.ts'
import { Http2Endpoint, reply, type Served } from '../../support/http2-endpoint.ts'
import type { MemoryWire } from '../../support/memory-wire.ts'
import type { Mesh } from '../../support/mesh.ts'
import type { OpenMessage } from '../../support/message-reader.ts'
import { between, pick } from '../../support/random.ts'
import { UpstreamEnd } from '../../support/upstream.ts'
import { bodyOf } from '../plan.ts'

/** A request as it arrived. */
export interface Arrival {
  readonly id: string
  readonly instance: string
  readonly atMs: number
  readonly method: string
  /** What came is the body that the request was sent with, or a beginning of it. */
  readonly isIntact: boolean
}

interface Connection {
  readonly wire: MemoryWire
  isOpen: boolean
  running: number
  /** Counts what it was used for, so that an old wish to close it is known as one. */
  uses: number
}

const ANSWER_SIZES = [0, 5, 300, 20_000]

/** A scripted instance of a service: its latency, and one fault at a time. It serves all data threads of the proxy. */
export class Instance {
  readonly address: string
  readonly #loop: EventLoop
  readonly #random: Random
  #latencyMs: number
  readonly #arrivals: Arrival[]
  readonly #upstreams: Mesh['upstreams'] = []
  readonly #connections: Connection[] = []
  #fault: Fault | null = null
  /** Answers that are due while it stands still. */
  readonly #held: (() => void)[] = []

  constructor(address: string, latencyMs: number, arrivals: Arrival[], loop: EventLoop, random: Random) {
    this.address = address
    this.#latencyMs = latencyMs
    this.#arrivals = arrivals
    this.#loop = loop
    this.#random = random
  }

  serve(mesh: Mesh, protocol: 'http1' | 'http2'): void {
    const upstream = mesh.upstream(this.address)
    this.#upstreams.push(upstream)
    if (protocol === 'http1') {
      upstream.serve = wire => {
        const connection = this.#accepted(wire)
        const end = new UpstreamEnd(upstream, wire)
        end.keep = false
        upstream.connections.push(end)
        upstream.onHead = () => {}
        const closed = end.closed.bind(end)
        end.closed = error => {
          connection.isOpen = false
          closed(error)
        }
      }
      upstream.answer = (request, end) => this.#http1(request, end)
      return
    }
    const endpoint = new Http2Endpoint(mesh, this.address)
    const accept = upstream.serve!
    upstream.serve = wire => {
      this.#accepted(wire)
      accept(wire)
    }
    endpoint.answer = served => this.#http2(served, endpoint)
  }

  get fault(): Fault | null {
    return this.#fault
  }

  set fault(fault: Fault | null) {
    this.#fault = fault
    const isStill = fault === 'stopped' || fault === 'dropped'
    for (const upstream of this.#upstreams) {
      upstream.connect = fault === 'killed' ? 'refuse' : fault === 'dropped' ? 'ignore' : 'accept'
      upstream.connectMs = fault === 'slow' ? SLOW_FACTOR : 1
    }
    for (const { wire, running } of this.#connections) {
      if (fault === 'killed' || (fault === 'accept-close' && running === 0)) wire.destroy()
      else if (isStill) wire.pause()
      else wire.resume()
    }
    if (fault === 'killed') this.#held.length = 0
    if (!isStill) for (const answer of this.#held.splice(0)) answer()
  }

  /** From now on nothing is wrong with it, and it answers at once. */
  calm(): void {
    this.fault = null
    this.#latencyMs = 0
  }

  #accepted(wire: MemoryWire): Connection {
    const connection: Connection = { wire, isOpen: true, running: 0, uses: 0 }
    this.#connections.push(connection)
    if (this.#fault === 'stopped' || this.#fault === 'dropped') wire.pause()
    if (this.#fault === 'accept-close') this.#loop.after(0, () => wire.destroy())
    return connection
  }

  #closeIdle(connection: Connection): void {
    const { uses } = connection
    this.#loop.after(between(this.#random, 0, IDLE_CLOSE_MS), () => {
      if (connection.running === 0 && connection.uses === uses) connection.wire.destroy()
    })
  }

  #http1(request: OpenMessage, end: UpstreamEnd): void {
    const id = request.header('x-id')!
    const connection = this.#connectionOf(end.wire)
    this.#came(id, request.method, request.body, Number(request.header('x-size')))
    this.#answer(
      connection,
      (status, body) => {
        if (end.over) return
        const sent = request.method === 'HEAD' ? '' : body.toString('latin1')
        end.send(
          `HTTP/1.1 ${status} Any\r\nx-id: ${id}\r\nx-size: ${body.length}\r\nContent-Length: ${body.length}\r\n\r\n${sent}`,
        )
      },
      id,
    )
  }

  #http2(served: Served, endpoint: Http2Endpoint): void {
    const id = served.fields.get('x-id')!
    const { wire } = endpoint.connections[served.connection]!
    this.#came(id, served.method, Buffer.from(served.body, 'latin1'), Number(served.fields.get('x-size')))
    this.#answer(
      this.#connectionOf(wire),
      (status, body) => {
        if (served.failure !== null || endpoint.connections[served.connection]!.over) return
        const sent = served.method === 'HEAD' ? '' : body.toString('latin1')
        reply(served.stream, status, ['x-id', id, 'x-size', String(body.length)], sent)
      },
      id,
    )
  }

  #connectionOf(wire: MemoryWire): Connection {
    return this.#connections.findLast(connection => connection.wire === wire)!
  }

  #came(id: string, method: string, body: Buffer, size: number): void {
    const isIntact = body.equals(bodyOf(`request ${id}`, size))
    this.#arrivals.push({ id, instance: this.address, atMs: this.#loop.now, method, isIntact })
  }

  #answer(connection: Connection, send: (status: number, body: Buffer) => void, id: string): void {
    const random = this.#random
    const fault = this.#fault
    connection.uses++
    connection.running++
    if (fault === 'hang') return
    if (fault === 'reset') return void this.#loop.after(0, () => connection.wire.reset())
    const work = fault === 'status-503' ? 0 : -Math.log(1 - random()) * this.#latencyMs
    const takes = Math.round(work * (fault === 'slow' ? SLOW_FACTOR : 1))
    const answer = () => {
      connection.running--
      const isBad = fault === 'status-503'
      send(isBad ? 503 : 200, isBad ? Buffer.from('busy') : bodyOf(`answer ${id}`, pick(random, ANSWER_SIZES)))
      if (this.#fault === 'idle-close') this.#closeIdle(connection)
    }
    this.#loop.after(takes, () => {
      if (this.#fault === 'stopped' || this.#fault === 'dropped') this.#held.push(answer)
      else if (this.#fault !== 'killed') answer()
    })
  }
}
