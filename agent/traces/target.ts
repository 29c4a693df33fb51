import { resolve } from 'node:path'
import type { AgentDocument } from '../../mesh-config/agent/agent-file.ts'
import { durationMs } from '../../mesh-config/duration.ts'
import { FIELD_NAME } from '../../mesh-config/edited-heads.ts'
import type { Environment } from '../../mesh-config/environment.ts'
import type { Target } from './collector.ts'

export interface ExportSettings {
  /** Null: spans go nowhere. */
  readonly target: Target | null
  readonly timeoutMs: number
  readonly files: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null }
  readonly warnings: readonly string[]
}

const DEFAULT_TIMEOUT_MS = 10_000

/**
 * Where spans go: the agent file first, then OpenTelemetry's environment variables, of which those for traces count over
 * those for all signals. https://opentelemetry.io/docs/specs/otel/protocol/exporter/ Throws an error for people.
 */
export function exportSettings({ traces }: AgentDocument, env: Environment, base: string): ExportSettings {
  const inBase = (file: string | undefined) => (file === undefined ? null : resolve(base, file))
  const warnings: string[] = []
  const of = (name: string) => env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || null
  const url = traces.export === undefined ? fromEnvironment(env, warnings) : fromFile(traces.export)
  const compression = traces.compression ?? compressionOf(of('COMPRESSION'), warnings)
  const headers = Object.keys(traces.headers).length > 0 ? traces.headers : headersOf(of('HEADERS'), warnings)
  return {
    target: url === null ? null : { ...url, headers, compression },
    timeoutMs: traces.timeout === undefined ? timeoutOf(of('TIMEOUT'), warnings) : durationMs(traces.timeout),
    files: {
      ca: inBase(traces.tls.ca) ?? of('CERTIFICATE'),
      cert: inBase(traces.tls.cert) ?? of('CLIENT_CERTIFICATE'),
      key: inBase(traces.tls.key) ?? of('CLIENT_KEY'),
    },
    warnings,
  }
}

type Place = Omit<Target, 'headers' | 'compression'>

/** The schema has looked at it. */
function fromFile(written: string): Place | null {
  if (written === 'off') return null
  const url = new URL(written)
  const isGrpc = url.protocol.startsWith('grpc')
  return {
    protocol: isGrpc ? 'grpc' : 'http',
    secure: url.protocol === 'grpcs:' || url.protocol === 'https:',
    host: hostOf(url),
    port: portOf(written) ?? (isGrpc ? 4317 : url.protocol === 'https:' ? 443 : 4318),
    path: isGrpc ? '' : tracesPath(url.pathname),
  }
}

function fromEnvironment(env: Environment, warnings: string[]): Place | null {
  const exporter = env.OTEL_TRACES_EXPORTER || 'otlp'
  if (exporter !== 'otlp') {
    if (exporter !== 'none')
      warnings.push(`OTEL_TRACES_EXPORTER=${exporter}: the agent exports by otlp only, and so it exports nothing`)
    return null
  }
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || null
  const written = own ?? (env.OTEL_EXPORTER_OTLP_ENDPOINT || null)
  if (written === null) return null
  const name = own === null ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  // gRPC's way of writing it has no scheme.
  const url = URL.parse(/^[a-z]+:\/\//i.test(written) ? written : `http://${written}`)
  const isKnown = url !== null && ['http:', 'https:', 'grpc:', 'grpcs:'].includes(url.protocol)
  if (!isKnown) throw new Error(`${name}: this is no address of a collector: write http://host:4318`)
  const isGrpc = url.protocol.startsWith('grpc') || isGrpcBy(env, written, warnings)
  const insecure = (env.OTEL_EXPORTER_OTLP_TRACES_INSECURE || env.OTEL_EXPORTER_OTLP_INSECURE) === 'true'
  const secure = url.protocol === 'https:' || url.protocol === 'grpcs:'
  return {
    protocol: isGrpc ? 'grpc' : 'http',
    secure: secure && !(isGrpc && insecure && !written.includes('://')),
    host: hostOf(url),
    port: portOf(written) ?? (isGrpc ? 4317 : secure ? 443 : 80),
    // That of traces is used as it is; behind the one of all signals comes the path of the signal.
    path: isGrpc ? '' : own === null ? tracesPath(url.pathname) : url.pathname,
  }
}

function isGrpcBy(env: Environment, written: string, warnings: string[]): boolean {
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL || null
  if (protocol === 'grpc') return true
  if (protocol === null && portOf(written) === 4317) {
    warnings.push(
      'port 4317 is that of OTLP over gRPC, and so gRPC is used: OTEL_EXPORTER_OTLP_PROTOCOL says otherwise',
    )
    return true
  }
  if (protocol === 'http/json')
    warnings.push('OTEL_EXPORTER_OTLP_PROTOCOL=http/json: the agent sends protobuf over HTTP')
  else if (protocol !== null && protocol !== 'http/protobuf')
    warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL=${protocol} is not known: http/protobuf is used`)
  return false
}

function compressionOf(written: string | null, warnings: string[]): Target['compression'] {
  if (written === 'gzip') return 'gzip'
  if (written !== null && written !== 'none')
    warnings.push(`OTEL_EXPORTER_OTLP_COMPRESSION=${written} is not known: nothing is compressed`)
  return 'none'
}

/** Milliseconds. */
function timeoutOf(written: string | null, warnings: string[]): number {
  if (written === null) return DEFAULT_TIMEOUT_MS
  if (/^[1-9]\d{0,8}$/.test(written)) return Number(written)
  warnings.push(`OTEL_EXPORTER_OTLP_TIMEOUT=${written} is no number of milliseconds: 10000 is used`)
  return DEFAULT_TIMEOUT_MS
}

/** As the schema of the agent file has it. */
const FIELD_VALUE = /^[\t\x20-\x7e]*$/

/** `name=value,name=value`, percent-encoded. What is wrong is not shown: it may be a secret. */
function headersOf(written: string | null, warnings: string[]): Record<string, string> {
  const variable = 'OTEL_EXPORTER_OTLP_HEADERS'
  const good = pairsOf(written ?? '', variable, warnings).filter(([name, value]) => {
    const isGood = FIELD_NAME.test(name) && FIELD_VALUE.test(value)
    if (!isGood)
      warnings.push(`${variable}: one of its fields has a name or a value that no header has, and is not used`)
    return isGood
  })
  return Object.fromEntries(good)
}

export function pairsOf(written: string, variable: string, warnings: string[]): [string, string][] {
  return written.split(',').flatMap((pair): [string, string][] => {
    if (pair.trim() === '') return []
    const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    try {
      if (name !== undefined) return [[decodeURIComponent(name), decodeURIComponent(value!)]]
    } catch {
      // Said below.
    }
    warnings.push(`${variable}: one of its parts is not name=value, percent-encoded, and is not used`)
    return []
  })
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

/** Of the text: URL leaves out a port that is the usual one of its scheme. */
function portOf(written: string): number | null {
  const port = /^(?:[a-z]+:\/\/)?(?:\[[^\]]*\]|[^:/]*):(\d{1,5})/i.exec(written)?.[1]
  return port === undefined ? null : Number(port)
}

function tracesPath(path: string): string {
  const base = path.replace(/\/+$/, '')
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`
}
