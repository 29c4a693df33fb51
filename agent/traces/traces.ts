import { join } from 'node:path'
import type { Server } from '@grpc/grpc-js'
import { parseAddress } from '../../mesh-config/address.ts'
import type { AgentDocument } from '../../mesh-config/agent/agent-file.ts'
import type { Environment } from '../../mesh-config/environment.ts'
import { sizeBytes } from '../../mesh-config/size.ts'
import type { AgentPart } from '../part.ts'
import { nameOf } from './collector.ts'
import { collectorWithFiles } from './collector-files.ts'
import { type Family, familiesOf, newCounters } from './counters.ts'
import { type DiskQueue, diskQueue } from './disk-queue.ts'
import { enricher } from './enrich.ts'
import { addTraceService, listenGrpc } from './grpc-in.ts'
import { hostFacts } from './host-facts.ts'
import { listenHttp } from './http-in.ts'
import { type Intake, intake } from './intake.ts'
import { type KeepLimits, keeper } from './sampling.ts'
import { type Sender, type SenderLog, sender } from './sender.ts'
import { exportSettings, pairsOf } from './target.ts'

/** Spans of proxies and applications: taken, put on disk, and sent to the collector. */
export interface TracesPart extends AgentPart {
  /** What may change while it runs: which spans are kept. */
  configure(traces: Pick<AgentDocument['traces'], 'sample' | 'spansPerSecond'>): void
  families(): readonly Family[]
  /** For `outrigger status`: a line for each place where spans go. */
  exporting(): readonly string[]
  /** Where applications send their spans; null: nowhere. Known once it has started. */
  ports(): { readonly grpc: number | null; readonly http: number | null }
}

export interface TracesOptions {
  readonly document: AgentDocument
  readonly env: Environment
  /** The folder that relative files of the agent file are in. */
  readonly base: string
  /** Of the agent; null: it has none. */
  readonly state: string | null
  /** What `/v1/agent/self` of Consul answers; null: there is no Consul. */
  readonly consulSelf: (() => Promise<unknown>) | null
  readonly log: SenderLog
}

const DEFAULT_GRPC = '127.0.0.1:4317'
const DEFAULT_HTTP = '127.0.0.1:4318'

/** Throws an error for people where the settings make no sense. */
export function tracesPart({ document, env, base, state, consulSelf, log }: TracesOptions): TracesPart {
  const { traces } = document
  const settings = exportSettings(document, env, base)
  const { target } = settings
  const warnings = [...settings.warnings]
  const given = new Map([
    ...pairsOf(env.OTEL_RESOURCE_ATTRIBUTES ?? '', 'OTEL_RESOURCE_ATTRIBUTES', warnings),
    ...Object.entries(traces.resource),
  ])
  // The name of a service is that of who made the spans.
  given.delete('service.name')
  const counters = newCounters()
  const facts = hostFacts({ given, consulSelf })
  const keep = keeper({ ...limitsOf(traces), now: () => performance.now() })
  const collector = target === null ? null : collectorWithFiles({ ...settings, target }, log.warn)
  let queue: DiskQueue | null = null
  let sending: Sender | null = null
  let receive: Intake | null = null
  const listening: { port: number; stop: () => void }[] = []
  const ports: { grpc: number | null; http: number | null } = { grpc: null, http: null }

  async function listen(kind: 'grpc' | 'http', written: string | undefined, usual: string): Promise<void> {
    if (written === 'off' || (written === undefined && target === null)) return
    const { address, port } = parseAddress(written ?? usual)!
    const isOwn = target !== null && isThisHost(target.host) && target.port === port && port !== 0
    if (isOwn && written === undefined) return
    if (isOwn) throw new Error(`traces.${kind}: ${written} is where traces.export sends the spans: change one of them`)
    try {
      const opened = await (kind === 'grpc'
        ? listenGrpc(written ?? usual, receive!)
        : listenHttp({ host: address === 'localhost' ? '127.0.0.1' : address, port, receive: receive!, counters }))
      listening.push(opened)
      ports[kind] = opened.port
    } catch (error) {
      const why = `traces.${kind}: cannot listen on ${written ?? usual}: ${(error as Error).message}`
      if (written !== undefined) throw new Error(why)
      log.warn(`${why}. Applications cannot send spans there; \`${kind}: off\` under \`traces\` says that this is so`)
    }
  }

  return {
    name: 'traces',
    configure: next => keep.set(limitsOf(next)),
    register(server: Server) {
      addTraceService(server, 'proxy', (request, from) =>
        receive === null ? Promise.resolve({ outcome: 'busy' }) : receive(request, from),
      )
    },
    async start() {
      for (const warning of warnings) log.warn(`traces: ${warning}`)
      if (target !== null && collector !== null) {
        queue = await diskQueue({
          folder: state === null ? null : join(state, 'traces'),
          maxBytes: sizeBytes(traces.queue),
          say: log.warn,
        })
        sending = sender({ queue, collector: collector.current, counters, log })
        log.info(`traces: spans go to ${nameOf(target)}`)
      }
      receive = intake({ counters, queue, keep, enrich: enricher(facts.attributes) })
      await listen('grpc', traces.grpc, DEFAULT_GRPC)
      await listen('http', traces.http, DEFAULT_HTTP)
      const open = Object.entries(ports).flatMap(([kind, port]) => (port === null ? [] : [`${port} (${kind})`]))
      if (open.length > 0) log.info(`traces: applications of this host send spans to port ${open.join(' and ')}`)
    },
    async stop() {
      facts.stop()
      for (const { stop } of listening) stop()
      await sending?.stop()
      await queue?.close()
      collector?.close()
    },
    ports: () => ports,
    families() {
      const { spans, bytes, maxBytes, droppedFull, droppedCorrupt, trouble } = queue?.state() ?? emptyQueue
      return familiesOf(counters, {
        ...keep.dropped,
        queueFull: droppedFull,
        corrupt: droppedCorrupt,
        queued: spans,
        queueBytes: bytes,
        queueMaxBytes: maxBytes,
        onDisk: queue !== null && trouble === null,
        stalledSeconds: Math.round((sending?.stalledMs() ?? 0) / 1000),
      })
    },
    exporting() {
      if (target === null || queue === null) return []
      const { spans, maxBytes, bytes, droppedFull, trouble } = queue.state()
      const why = sending?.trouble() ?? null
      const limited = keep.limited()
      return [
        [
          `traces to ${nameOf(target)}`,
          why === null ? `${counters.exported} spans sent` : `takes none: ${why}`,
          `${spans} wait (${Math.ceil((100 * bytes) / maxBytes)} % of the queue)`,
          ...(droppedFull > 0 ? [`${droppedFull} lost, because the queue was full`] : []),
          ...(trouble === null ? [] : [`in memory only: ${trouble}`]),
          ...(limited.length === 0 ? [] : [`over their rate: ${limited.slice(0, 5).join(', ')}`]),
        ].join('; '),
      ]
    },
  }
}

function limitsOf({ sample, spansPerSecond }: Pick<AgentDocument['traces'], 'sample' | 'spansPerSecond'>): KeepLimits {
  return { share: sample / 100, perSecond: spansPerSecond }
}

const emptyQueue = { spans: 0, bytes: 0, maxBytes: 0, droppedFull: 0, droppedCorrupt: 0, trouble: null }

function isThisHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
