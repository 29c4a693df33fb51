import type { AddressSpec, Direction, ListenerSpec, Snapshot } from '../mesh-config/snapshot.ts'
import { classify } from './cluster/classify.ts'
import { http1 } from './codec/h1/codec.ts'
import { http2 } from './codec/h2/codec.ts'
import { guards, hopCancels } from './codec/h2/options.ts'
import { isPreface } from './codec/h2/preface.ts'
import { type ApplyDeps, applier, type Prepared, type Runtime } from './control/apply.ts'
import { cannotListen } from './control/cannot-listen.ts'
import { endpointsView } from './control/endpoints-view.ts'
import { explain } from './control/explain.ts'
import { regexFor } from './control/regex.ts'
import { wanted } from './control/wanted.ts'
import type { Answer, Question, ToControl, ToData, Unknown } from './core/channel.ts'
import type { Clock, Random } from './core/clock.ts'
import type { Exchange } from './core/exchange.ts'
import { HeaderList } from './core/header-list.ts'
import { Account, Ledger, UNLIMITED } from './core/ledger.ts'
import type { TcpRoute } from './core/route.ts'
import type { ProxyEvent, TcpStats, Telemetry } from './core/telemetry.ts'
import { opensTunnel } from './core/tunnel.ts'
import type { Turns } from './core/turn.ts'
import type { Dial, Listen, Wire } from './core/wire.ts'
import { corridor } from './corridor.ts'
import { Forward } from './forward/forward.ts'
import type { Tunnel } from './forward/tunnel.ts'
import { Listener } from './listener/listener.ts'
import { openPorts, type PortChange, PortRefused } from './listener/open-ports.ts'
import type { OwnListener } from './pool/not-itself.ts'
import { serviceOfHost } from './router/hosts.ts'
import { TcpTunnel, type TcpTunnelDeps } from './tcp/tunnel.ts'
import { type AccessLogFormatter, accessLogFormatter } from './telemetry/access-log.ts'
import { accessLogQueue } from './telemetry/access-log-queue.ts'
import { bufferStats } from './telemetry/buffer-stats.ts'
import { type Flights, flights } from './telemetry/flights.ts'
import { guardTrips } from './telemetry/guard-trips.ts'
import { detectionStats, type Series, statsWriter } from './telemetry/stats.ts'
import { tunnelStats } from './telemetry/tunnel-stats.ts'

export interface DataThreadDeps {
  /** Which of the data threads this is: the `thread` label. */
  readonly index: number
  readonly clock: Clock
  readonly random: Random
  readonly turns: Turns
  readonly dial: Dial
  readonly listen: Listen
  /** Several data threads have each port open. */
  readonly shared: boolean
  /** What an error of `listen` means, and what to do about it. */
  explainListen(error: unknown, address: AddressSpec): Promise<string>
  send(message: ToControl): void
}

export interface DataThread {
  receive(message: ToData): void
}

interface OpenListener {
  readonly listener: Listener
  series(): readonly Series[]
}

/**
 * Everything a data thread is, but for the system it runs on: the same object serves the real proxy and a mesh
 * simulated on a virtual clock.
 */
export function dataThread(deps: DataThreadDeps): DataThread {
  const { clock, random, send } = deps
  const stats = statsWriter(send)
  const event = (event: ProxyEvent) => send({ kind: 'event', event })
  const downstreamHttp2 = http2(clock, { onGuard: guardTrips('downstream', guards, stats, clock, event) })
  const onUpstreamGuard = guardTrips('upstream', guards, stats, clock, event)
  const upstreamHttp2 = http2(clock, { onGuard: onUpstreamGuard })
  const hop = http2(clock, { carriesHttp1: true, cancels: hopCancels, onGuard: onUpstreamGuard })
  const open = new Map<string, OpenListener>()
  const buffers = bufferStats(stats, deps.index, clock, event)
  const ledger = new Ledger(deps.turns, buffers.cut)
  const counted = (wire: Wire): Wire => {
    wire.ledger = ledger
    return wire
  }
  const dial: Dial = (address, port, listener) =>
    deps.dial(address, port, {
      connected: wire => listener.connected(counted(wire)),
      failed: code => listener.failed(code),
    })
  const ports = openPorts({
    listen: deps.listen,
    shared: deps.shared,
    clock,
    trouble: (listener, error) => event({ kind: 'listener-error', listener, detail: error.message }),
  })
  const applyDeps: Omit<ApplyDeps, 'regex'> = {
    clock,
    random,
    turns: deps.turns,
    dial,
    ownListeners,
    stats,
    event,
    http2: upstreamHttp2,
    hop,
  }
  let regex: ApplyDeps['regex'] = () => () => false
  const apply = applier({ ...applyDeps, regex: pattern => regex(pattern) })
  let runtime: Runtime | null = null
  let format: AccessLogFormatter = () => ''
  let recorder: Flights = flights({ recent: 0, failed: 0 }, clock)
  const waiting = wanted(clock, send)
  const log = accessLogQueue((lines, dropped) => send({ kind: 'log', lines, dropped }), clock)

  function* ownListeners(): Iterable<OwnListener> {
    for (const { listener } of open.values()) {
      const { name, listen, service } = listener.runtime.spec
      yield { name, address: listen.address, port: ports.portOf(name), service }
    }
  }

  function telemetryOf(listener: () => string): Telemetry {
    return {
      exchange(exchange: Exchange) {
        const { route, failure, status } = exchange
        const flag = failure === null ? '-' : failure.flag
        if (exchange.protocol === 'tcp') tcpStatsOf(exchange).closed(flag)
        else {
          // How long a tunnel stays open says nothing of how fast the service is; the access log has it.
          const end = opensTunnel(exchange.request.upgrade, status) ? exchange.firstByteAt : exchange.completedAt
          const own = route === null ? unrouted(exchange.direction, exchange.decision.service || '-') : route.stats
          own.count(exchange.request.method, status, flag, end - exchange.startedAt)
          if (exchange.grpc !== '') own.countGrpc(exchange.grpcStatus, flag)
        }
        recorder.add(exchange, listener())
        log.add(format(exchange, clock))
      },
      event: applyDeps.event,
    }
  }

  const unroutedTcp = new Map<string, ReturnType<typeof apply.unroutedTcp>>()
  function tcpStatsOf({ route, direction }: Exchange): TcpStats {
    if (route !== null) return (route as TcpRoute).tcp
    let own = unroutedTcp.get(direction)
    if (own === undefined) {
      own = apply.unroutedTcp(direction)
      unroutedTcp.set(direction, own)
    }
    return own
  }

  const unroutedStats = new Map<string, ReturnType<typeof apply.unrouted>>()
  /** Bounded: a service that was found is a configured one. */
  function unrouted(direction: string, service: string) {
    const key = `${direction} ${service}`
    let own = unroutedStats.get(key)
    if (own === undefined) {
      own = apply.unrouted(direction, service)
      unroutedStats.set(key, own)
    }
    return own
  }

  function openListener(spec: ListenerSpec, prepared: Runtime): OpenListener {
    const labels = { listener: spec.name, direction: spec.direction }
    const telemetry = telemetryOf(() => listener.runtime.spec.name)
    const tunnels = tunnelStats<Tunnel>(stats, labels)
    const forwardDeps = corridor({ clock, random, telemetry, tunnels, listener: () => listener.runtime, discover })
    const tcpDeps: TcpTunnelDeps = {
      clock,
      random,
      classify,
      listener: () => listener.runtime,
      discover,
      onComplete: exchange => telemetry.exchange(exchange),
    }
    const own = {
      accepted: stats.counter('outrigger_downstream_connections_total', 'Connections accepted', labels),
      active: stats.gauge('outrigger_downstream_connections_active', 'Connections open', labels),
      overflow: stats.counter(
        'outrigger_downstream_connections_overflow_total',
        'Connections closed at once because limits.connections was reached',
        labels,
      ),
    }
    const detections = detectionStats(stats, labels, Object.values(own))
    const listener: Listener = new Listener(prepared.listeners.get(spec.name)!, {
      clock,
      random,
      http1,
      http2: downstreamHttp2,
      isHttp2: isPreface,
      stats: { ...own, detected: found => detections.told(found), detectionTimedOut: () => detections.timedOut() },
      leave() {
        for (const tunnel of [...tunnels.open]) tunnel.leave()
      },
      onStream(stream, wire, protocol, from) {
        stream.receiver = new Forward(stream, wire, from.runtime.spec.direction, protocol, forwardDeps, NOTHING)
      },
      onRefused({ failure, detail, peer, protocol }, from) {
        const exchange = new Forward(
          NO_STREAM,
          { peer, account: NO_ACCOUNT },
          from.runtime.spec.direction,
          protocol,
          forwardDeps,
          NOTHING,
        ).exchange
        const now = clock.now()
        exchange.begin(NOTHING, now)
        exchange.status = failure.httpStatus
        exchange.failure = failure
        exchange.detail = detail
        exchange.completedAt = now
        telemetry.exchange(exchange)
      },
      tunnel(wire, opening, onClosed) {
        const tunnel = new TcpTunnel(wire, opening, tcpDeps, onClosed)
        tunnel.open()
        return tunnel
      },
    })
    return { listener, series: () => [...detections.series, ...tunnels.series] }
  }

  function discover(authority: string): Promise<Unknown | null> | null {
    const limitMs = runtime?.snapshot.onDemandMs ?? 0
    const service = limitMs === 0 ? null : serviceOfHost(authority)
    return service === null ? null : waiting.want(service, limitMs)
  }

  /**
   * Opens what is new, then swaps, then closes what is gone; a port that cannot be had is a NACK, and everything runs
   * on as it was.
   */
  async function applySnapshot(snapshot: Snapshot): Promise<void> {
    const opened = new Map<string, OpenListener>()
    const made: Series[] = []
    let prepared: Prepared | null = null
    let change: PortChange | null = null
    try {
      regex = await regexFor(snapshot)
      const formatNext = accessLogFormatter(snapshot.accessLog)
      prepared = apply.prepare(snapshot)
      for (const spec of snapshot.listeners) {
        if (open.has(spec.name)) continue
        const opening = openListener(spec, prepared.runtime)
        made.push(...opening.series())
        opened.set(spec.name, opening)
      }
      change = await changePorts(snapshot, opened)
      prepared.commit()
      change.commit()
      ledger.limitTo(snapshot.buffersBytes)
      for (const [name, entry] of opened) open.set(name, entry)
      for (const [name, entry] of open) {
        const next = prepared.runtime.listeners.get(name)
        if (next !== undefined) entry.listener.apply(next)
        else close(name, entry, snapshot.drain.timeoutMs)
      }
      if (runtime === null || changed(runtime.snapshot.flights, snapshot.flights))
        recorder = flights(snapshot.flights, clock)
      format = formatNext
      runtime = prepared.runtime
      for (const service of Object.keys(snapshot.services)) waiting.settle(service, null)
      send({
        kind: 'ack',
        version: snapshot.version,
        listeners: [...open.keys()].map(name => withPort(name, ports.portOf(name))),
      })
    } catch (error) {
      await change?.undo()
      for (const { listener } of opened.values()) void listener.drain(0)
      stats.retire(made)
      prepared?.abandon()
      send({ kind: 'nack', version: snapshot.version, reasons: [await reasonOf(error, snapshot)] })
    }
  }

  function changePorts({ listeners }: Snapshot, opened: ReadonlyMap<string, OpenListener>): Promise<PortChange> {
    const added = listeners.flatMap(({ name, listen }) => {
      const entry = opened.get(name)
      return entry === undefined
        ? []
        : [{ name, address: listen, accept: (wire: Wire) => entry.listener.accept(counted(wire)) }]
    })
    const stay = new Set(listeners.map(({ name }) => name))
    return ports.change(added, new Set([...open.keys()].filter(name => !stay.has(name))))
  }

  async function reasonOf(error: unknown, { places }: Snapshot): Promise<string> {
    if (!(error instanceof PortRefused)) return error instanceof Error ? error.message : String(error)
    const { name, address } = error.port
    return cannotListen(places[name], '', address, await deps.explainListen(error.cause, address))
  }

  function close(name: string, entry: OpenListener, timeoutMs: number): void {
    open.delete(name)
    ports.close(name)
    void entry.listener.drain(timeoutMs).then(() => stats.retire(entry.series()))
  }

  /**
   * Inbound first: what the application still does for its callers may need others, so outbound stays open until
   * inbound is done (istio/istio#51855). What still runs after `timeoutMs`, counted over both, is cut.
   */
  function drain(delayMs: number, timeoutMs: number): void {
    const timer = clock.timer(async () => {
      const deadline = clock.now() + timeoutMs
      const cutInbound = await drainSide('inbound', timeoutMs)
      const cutOutbound = await drainSide('outbound', Math.max(0, deadline - clock.now()))
      log.flush()
      send({ kind: 'drained', cut: cutInbound + cutOutbound })
    })
    timer.arm(delayMs)
  }

  async function drainSide(direction: Direction, timeoutMs: number): Promise<number> {
    const side = [...open].filter(([, { listener }]) => listener.runtime.spec.direction === direction)
    for (const [name] of side) ports.close(name)
    const cut = await Promise.all(side.map(([, { listener }]) => listener.drain(timeoutMs)))
    return cut.reduce((sum, count) => sum + count, 0)
  }

  function answer(question: Question): Answer | Promise<Answer> {
    switch (question.what) {
      case 'endpoints':
        return endpointsView(apply.clusters(), clock.now())
      case 'uses':
        return { uses: Object.fromEntries(apply.clusters().map(cluster => [cluster.name, cluster.uses])) }
      case 'flights':
        return { flights: question.failedOnly ? recorder.failed() : recorder.recent() }
      case 'explain':
        return explain(question, {
          clock,
          random,
          discover,
          runtime: () => ({ listeners: runtime?.listeners ?? new Map(), services: runtime?.snapshot.services ?? {} }),
        })
    }
  }

  function ask(id: number, question: Question): void {
    const found = answer(question)
    const reply = (answer: Answer) => send({ kind: 'answer', id, answer })
    if (found instanceof Promise) void found.then(reply)
    else reply(found)
  }

  /** Snapshots are applied one after the other. */
  let applying = Promise.resolve()

  const lag = stats.gauge(
    'outrigger_data_thread_lag_seconds',
    'How late the last timer of the data thread was: time in which nothing else could run',
    {
      thread: String(deps.index),
    },
  )
  let due = clock.now() + 1000
  const lagTimer = clock.timer(() => {
    const now = clock.now()
    lag.values[lag.index] = Math.max(0, now - due) / 1000
    buffers.held(ledger.held)
    due = now + 1000
    lagTimer.arm(1000)
  })
  lagTimer.arm(1000)

  return {
    receive(message) {
      if (message.kind === 'snapshot') applying = applying.then(() => applySnapshot(message.snapshot))
      else if (message.kind === 'drain') drain(message.delayMs, message.timeoutMs)
      // In order with the snapshots, which may wait for a port.
      else if (message.kind === 'endpoints')
        applying = applying.then(() => apply.change(message.service, message.delta))
      else if (message.kind === 'origins') applying = applying.then(() => apply.setOrigins(message.zones))
      else if (message.kind === 'unknown-service') waiting.settle(message.service, message.why)
      else if (message.kind === 'ask') ask(message.id, message.question)
      else log.credit(message.bytes)
    },
  }
}

/** A listener at port 0 by the port that the system chose. */
function withPort(name: string, port: number): string {
  return name.replace(/:0( #\d+)?$/, `:${port}`)
}

function changed(a: object, b: object): boolean {
  return JSON.stringify(a) !== JSON.stringify(b)
}

/** Stands where no request was ever read. */
const NOTHING = { method: '', scheme: 'http', authority: '', path: '', upgrade: '', headers: new HeaderList() } as const
const NO_ACCOUNT = new Account(UNLIMITED, null)
const NO_STREAM = { receiver: null, head() {}, data: () => true, trailers() {}, reset() {}, pause() {}, resume() {} }
