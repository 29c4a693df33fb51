import { hostname } from 'node:os'
import type { TraceExportSpec } from '../../mesh-config/snapshot.ts'
import type { AgentLink } from '../core/agent-link.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { spanSource } from '../telemetry/otlp.ts'
import { sendByHttp, sendToAgent } from '../telemetry/span-senders.ts'
import { type SpanSink, spanSink } from '../telemetry/span-sink.ts'

export interface SpanExportOptions {
  readonly spec: TraceExportSpec
  readonly zone: string
  readonly version: string
  /** Null: this proxy has none. */
  readonly link: () => AgentLink | null
  /** Data threads begin to make spans, or stop. */
  readonly agentIs: (isThere: boolean) => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface SpanExport extends SpanSink {
  /** An agent takes spans. */
  agentIsThere(): boolean
  readonly isByItself: boolean
}

const LOOK_MS = 500
/** An agent that restarts finds the spans of the meantime. */
const AWAY_MS = 60_000

/** Where the spans of this proxy go: straight to a collector, or to the agent as long as there is one. */
export function spanExport(options: SpanExportOptions): SpanExport {
  const { spec, zone, version, link, agentIs, clock, random, log } = options
  const host = hostname()
  const source = spanSource(withDefaults(spec.attributes, { host, zone, pid: process.pid }), version)
  const { batchSpans, batchMs, queueSpans } = spec
  const send = spec.url === null ? sendToAgent(() => link()) : sendByHttp({ ...spec, url: spec.url }, clock)
  const sink = spanSink({ source, send, batchSpans, batchMs, queueSpans, clock, random, log })
  let isThere = false
  let seenAt = Number.NEGATIVE_INFINITY
  const look = clock.timer(() => {
    if (link()?.state === 'connected') seenAt = clock.now()
    const now = clock.now() - seenAt < AWAY_MS
    if (now !== isThere) {
      isThere = now
      agentIs(now)
    }
    look.arm(LOOK_MS)
  })
  if (spec.url === null) look.arm(LOOK_MS)
  return { ...sink, agentIsThere: () => isThere, isByItself: spec.url !== null }
}

interface Own {
  readonly host: string
  readonly zone: string
  readonly pid: number
}

/** What the configuration says of the resource counts over what the process knows. */
function withDefaults(attributes: readonly string[], { host, zone, pid }: Own): string[] {
  const own = ['host.name', host, 'service.instance.id', `${host}:${pid}`, 'cloud.availability_zone', zone]
  const all = [...attributes]
  for (let i = 0; i < own.length; i += 2)
    if (own[i + 1] !== '' && !attributes.some((name, at) => at % 2 === 0 && name === own[i]))
      all.push(own[i]!, own[i + 1]!)
  return all
}
