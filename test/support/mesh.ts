import type { Snapshot } from '../../mesh-config/snapshot.ts'
import { type Cells, ownCells } from '../../proxy/core/cells.ts'
import type { EndpointsAnswer, FlightView, ToControl } from '../../proxy/core/channel.ts'
import type { Clock, Random } from '../../proxy/core/clock.ts'
import type { Dial, Wire } from '../../proxy/core/wire.ts'
import { type DataThread, dataThread } from '../../proxy/data-thread.ts'
import { Caller } from './caller.ts'
import { manualClock } from './clock.ts'
import { EventLoop } from './event-loop.ts'
import { Http2Caller } from './http2-caller.ts'
import { type MemoryWire, type WireOptions, wirePair } from './memory-wire.ts'
import { PlainEnd } from './plain-end.ts'
import { seeded } from './random.ts'
import { testTurns, turn } from './turns.ts'
import { Upstream } from './upstream.ts'

export interface MeshOptions {
  readonly seed?: number
  /** Of several data threads of one proxy: what they share, and the time of all of them. */
  readonly cells?: Cells
  readonly loop?: EventLoop
  readonly downstream?: WireOptions
  readonly upstream?: WireOptions
}

/** A whole data thread, its callers and its upstreams, in one process on virtual time. */
export class Mesh {
  readonly loop: EventLoop
  readonly clock: Clock
  readonly random: Random
  readonly thread: DataThread
  readonly messages: ToControl[] = []
  readonly callers: Caller[] = []
  readonly http2Callers: Http2Caller[] = []
  readonly plainCallers: PlainEnd[] = []
  /** The proxy's ends of all connections so far. */
  readonly wires: MemoryWire[] = []
  readonly #options: MeshOptions
  readonly #upstreams = new Map<string, Upstream>()
  readonly #ports = new Map<number, (wire: Wire) => void>()
  /** Endpoints that are a port of this very data thread: the next sidecar. */
  readonly linked = new Map<string, number>()
  /** The accepting ends of the connections to those. */
  readonly #links: MemoryWire[] = []
  /** Ports in use by other programs. */
  readonly takenPorts = new Set<number>()
  /** The addresses of names. */
  readonly names = new Map<string, string>()
  /** Ports that open only when the promise resolves. */
  readonly slowPorts = new Map<number, Promise<void>>()

  constructor(options: MeshOptions = {}) {
    this.#options = options
    this.loop = options.loop ?? new EventLoop()
    this.clock = manualClock(this.loop)
    this.random = seeded(options.seed ?? 1)
    this.thread = dataThread({
      index: options.cells?.thread ?? 0,
      cells: options.cells ?? ownCells,
      clock: this.clock,
      random: this.random,
      turns: testTurns,
      dial: this.#dial,
      listen: async ({ port }, onWire) => {
        await this.slowPorts.get(port)
        if (this.takenPorts.has(port) || this.#ports.has(port))
          throw new Error(`listen EADDRINUSE: address already in use 127.0.0.1:${port}`)
        this.#ports.set(port, onWire)
        return { port, close: () => this.#ports.delete(port) }
      },
      shared: false,
      shrinkHeap() {},
      loadTls: () => Promise.reject(new Error('there is no TLS over memory')),
      loadOriginals: async () => {},
      explainListen: async error => (error instanceof Error ? error.message : String(error)),
      // Memory that both threads see is good until it was credited.
      send: message =>
        this.messages.push(message.kind === 'spans' ? { ...message, bytes: new Uint8Array(message.bytes) } : message),
    })
  }

  /** With a snapshot applied. */
  static async start(snapshot: Snapshot, options: MeshOptions = {}): Promise<Mesh> {
    const mesh = new Mesh(options)
    const reasons = await mesh.apply(snapshot)
    if (reasons.length !== 0) throw new Error(reasons.join('\n'))
    return mesh
  }

  /** The reasons of a NACK; none for an ACK. */
  async apply(snapshot: Snapshot): Promise<readonly string[]> {
    this.thread.receive({ kind: 'snapshot', snapshot, services: Object.keys(snapshot.services) })
    for (;;) {
      await nextMicrotasks()
      const answer = this.messages.findLast(
        message => (message.kind === 'ack' || message.kind === 'nack') && message.version === snapshot.version,
      )
      if (answer?.kind === 'nack') return answer.reasons
      if (answer?.kind === 'ack') return []
    }
  }

  upstream(name: string): Upstream {
    const known = this.#upstreams.get(name)
    if (known !== undefined) return known
    const upstream = new Upstream(name)
    this.#upstreams.set(name, upstream)
    return upstream
  }

  get upstreams(): Upstream[] {
    return [...this.#upstreams.values()]
  }

  readonly #dial: Dial = (address, port, listener) => {
    const upstream = this.upstream(`${address}:${port}`)
    upstream.dials++
    const own = this.linked.get(`${address}:${port}`)
    if (own !== undefined)
      return this.loop.after(upstream.connectMs, () => {
        const onWire = this.#ports.get(own)
        if (onWire === undefined) return turn(() => listener.failed('ECONNREFUSED'))
        const [near, far] = wirePair(this.loop, this.#options.upstream, {
          a: { address: this.names.get(address) ?? address, port, local: '10.0.0.100', localPort: 50_000 },
        })
        this.wires.push(near, far)
        this.#links.push(far)
        turn(() => onWire(far))
        turn(() => listener.connected(near))
      })
    if (upstream.connect === 'ignore') return () => {}
    return this.loop.after(upstream.connectMs, () => {
      if (upstream.connect === 'refuse') return turn(() => listener.failed('ECONNREFUSED'))
      if (upstream.connect === 'lack') return turn(() => listener.failed('EADDRNOTAVAIL'))
      const [near, far] = wirePair(this.loop, this.#options.upstream, {
        a: { address: this.names.get(address) ?? address, port, local: '10.0.0.100', localPort: 50_000 },
      })
      this.wires.push(near)
      upstream.accept(far)
      turn(() => listener.connected(near))
    })
  }

  caller(port = 8000): Caller {
    const onWire = this.#ports.get(port)
    if (onWire === undefined) throw new Error(`nothing listens on ${port}`)
    const [near, far] = wirePair(this.loop, this.#options.downstream)
    this.wires.push(near)
    const caller = new Caller(far)
    this.callers.push(caller)
    turn(() => onWire(near))
    return caller
  }

  /** A caller whose connection to `to` (`10.0.0.7:8080`) was redirected to the port; `from`: its own port. */
  redirected(to: string, port = 15001, from = 40_000): Caller {
    const caller = new Caller(this.#redirect(to, port, from))
    this.callers.push(caller)
    return caller
  }

  /** The same that sends raw bytes. */
  plainRedirected(to: string, port = 15001, from = 40_000): PlainEnd {
    const caller = new PlainEnd(this.#redirect(to, port, from))
    this.plainCallers.push(caller)
    return caller
  }

  /** The same that speaks HTTP/2. */
  http2Redirected(to: string, port = 15001, from = 40_000): Http2Caller {
    const caller = new Http2Caller(this.#redirect(to, port, from), this.clock)
    this.http2Callers.push(caller)
    return caller
  }

  #redirect(to: string, port: number, from: number): MemoryWire {
    const onWire = this.#ports.get(port)
    if (onWire === undefined) throw new Error(`nothing listens on ${port}`)
    const colon = to.lastIndexOf(':')
    const address = to.slice(0, colon).replace(/[[\]]/g, '')
    const original = { address, port: Number(to.slice(colon + 1)), name: to }
    const [near, far] = wirePair(this.loop, this.#options.downstream, {
      a: { address: '10.0.0.100', port: from, local: address, localPort: original.port, original },
    })
    this.wires.push(near)
    turn(() => onWire(near))
    return far
  }

  /** A connection from elsewhere: another mesh. */
  take(port: number, wire: MemoryWire): void {
    turn(() => this.#ports.get(port)!(wire))
  }

  /** Kills the next sidecar, or its substitute; from now on its port is the `upstream` of that name. */
  replaceLinked(name: string): Upstream {
    this.linked.delete(name)
    this.cutLinked()
    return this.upstream(name)
  }

  /** Breaks the connections to the next sidecar. */
  cutLinked(): void {
    for (const wire of this.#links.splice(0)) turn(() => wire.destroy())
  }

  /** A caller that speaks HTTP/2. */
  http2Caller(port = 8000): Http2Caller {
    const onWire = this.#ports.get(port)
    if (onWire === undefined) throw new Error(`nothing listens on ${port}`)
    const [near, far] = wirePair(this.loop, this.#options.downstream)
    this.wires.push(near)
    const caller = new Http2Caller(far, this.clock)
    this.http2Callers.push(caller)
    turn(() => onWire(near))
    return caller
  }

  /** A caller that sends raw bytes. */
  plainCaller(port = 8000): PlainEnd {
    const onWire = this.#ports.get(port)
    if (onWire === undefined) throw new Error(`nothing listens on ${port}`)
    const [near, far] = wirePair(this.loop, this.#options.downstream)
    this.wires.push(near)
    const caller = new PlainEnd(far)
    this.plainCallers.push(caller)
    turn(() => onWire(near))
    return caller
  }

  /** The connections to an endpoint from now on, as raw bytes. */
  plainUpstream(name: string): PlainEnd[] {
    const ends: PlainEnd[] = []
    this.upstream(name).serve = wire => void ends.push(new PlainEnd(wire))
    return ends
  }

  listens(port: number): boolean {
    return this.#ports.has(port)
  }

  settle(): void {
    this.loop.settle()
  }

  advance(milliseconds: number): void {
    this.loop.advance(milliseconds)
  }

  /** Bytes of bodies that the proxy holds, as the data thread counts them. */
  get held(): number {
    return this.wires.reduce((sum, { account }) => sum + account.bytes, 0)
  }

  flights(failedOnly = false): readonly FlightView[] {
    return this.#ask({ what: 'flights', failedOnly }).flights
  }

  /** The newest. */
  get flight(): FlightView {
    return this.flights()[0]!
  }

  endpoints(): EndpointsAnswer['services'] {
    return this.#ask({ what: 'endpoints' }).services
  }

  #ask<Q extends { readonly what: 'flights' | 'endpoints' }>(question: Q & { readonly failedOnly?: boolean }) {
    const id = this.messages.length
    this.thread.receive({ kind: 'ask', id, question: question as never })
    const reply = this.messages.findLast(message => message.kind === 'answer' && message.id === id)
    if (reply?.kind !== 'answer') throw new Error('no answer')
    this.messages.splice(this.messages.indexOf(reply), 1)
    return reply.answer as Q extends { what: 'flights' } ? { flights: readonly FlightView[] } : EndpointsAnswer
  }

  /** The sum of a counter's or gauge's series that have these labels. */
  stat(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const pages = new Map<number, Float64Array>()
    const retired = new Set(
      this.messages.flatMap(message => (message.kind === 'retire' || message.kind === 'expire' ? message.ids : [])),
    )
    let sum = 0
    for (const message of this.messages) {
      if (message.kind === 'page') pages.set(message.page, new Float64Array(message.memory))
      if (message.kind !== 'series' || message.series.name !== name || retired.has(message.id)) continue
      const { page, index } = message.series
      if (Object.entries(labels).every(([label, value]) => message.series.labels[label] === value))
        sum += pages.get(page)![index]!
    }
    return sum
  }

  /** Series that the control thread would show. */
  get series(): number {
    const retired = new Set(
      this.messages.flatMap(message => (message.kind === 'retire' || message.kind === 'expire' ? message.ids : [])),
    )
    return this.messages.filter(message => message.kind === 'series' && !retired.has(message.id)).length
  }
}

/** Waits until all resolved promises have run. */
export function nextMicrotasks(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
