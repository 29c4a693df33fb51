import type { Environment } from './environment.ts'
import type { Located, LocatedEntry, Position } from './located.ts'

/**
 * The variables of OpenTelemetry (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables), as a
 * document that lies below the files: a file's own value counts over them. A value that makes no sense is passed over
 * with a warning, as the specification asks.
 */
export interface OtelEnvironment {
  /** Null: no such variable is set. */
  readonly root: Located | null
  readonly warnings: readonly string[]
}

/** Marks a position that is a variable: `$OTEL_TRACES_SAMPLER`. */
export const VARIABLE = '$'

type Tree = { [key: string]: Tree | Located }

export function otelEnvironment(env: Environment): OtelEnvironment {
  const traces: Tree = {}
  const warnings: string[] = []
  const warn = (name: string, what: string) => warnings.push(`${VARIABLE}${name}: ${what}`)
  const put = (path: readonly string[], name: string, value: string | number | boolean) =>
    set(traces, path, scalar(name, value))

  if (isTrue(env.OTEL_SDK_DISABLED)) put(['mode'], 'OTEL_SDK_DISABLED', 'off')
  const exporter = given(env, 'OTEL_TRACES_EXPORTER')
  if (exporter === 'none') put(['mode'], 'OTEL_TRACES_EXPORTER', 'off')
  else if (exporter !== null && exporter !== 'otlp')
    warn('OTEL_TRACES_EXPORTER', `${exporter} is not known here: it is otlp or none`)

  readEndpoint(env, put, warn)
  readHeaders(env, put, warn)
  const [timeoutName, timeout] = either(env, 'OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT')
  if (timeout !== null) number(timeoutName, timeout, 1, warn, value => put(['timeout'], timeoutName, `${value}ms`))
  const [packName, pack] = either(env, 'OTEL_EXPORTER_OTLP_TRACES_COMPRESSION', 'OTEL_EXPORTER_OTLP_COMPRESSION')
  if (pack === 'gzip' || pack === 'none') put(['compression'], packName, pack)
  else if (pack !== null) warn(packName, `${pack} is not known here: it is gzip or none`)

  readSampler(env, put, warn)
  const propagators = given(env, 'OTEL_PROPAGATORS')
  if (propagators !== null) set(traces, ['propagate'], list('OTEL_PROPAGATORS', formatsOf(propagators)))
  readBatch(env, put, warn)
  readResource(env, put, warn)

  const isEmpty = Object.keys(traces).length === 0
  return { root: isEmpty ? null : map(at('environment'), { traces }), warnings }
}

type Put = (path: readonly string[], name: string, value: string | number | boolean) => void
type WarnOf = (name: string, what: string) => void

/** An endpoint for everything is a base; one for traces stands for itself. */
function readEndpoint(env: Environment, put: Put, warn: WarnOf): void {
  const [name, endpoint] = either(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT')
  if (endpoint === null) return
  const [protocolName, protocol] = either(env, 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL')
  if (protocol !== null && protocol !== 'http/protobuf')
    return warn(
      protocolName,
      `the proxy exports http/protobuf only, so ${name} is not used: start an agent, which speaks ${protocol === 'grpc' ? 'gRPC too' : 'more'}, or set ${protocolName}=http/protobuf`,
    )
  const url = URL.parse(endpoint)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '')
    return warn(name, 'this is not a URL such as http://collector:4318, so it is not used')
  const isBase = name === 'OTEL_EXPORTER_OTLP_ENDPOINT'
  put(['export'], name, isBase ? `${url.href.replace(/\/$/, '')}/v1/traces` : url.href)
}

function readHeaders(env: Environment, put: Put, warn: WarnOf): void {
  const [name, headers] = either(env, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'OTEL_EXPORTER_OTLP_HEADERS')
  for (const [key, value] of pairs(name, headers, warn)) {
    // What they are is not shown: the value is a secret as likely as not.
    if (/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(key) && /^[\x20-\x7e]*$/.test(value)) put(['headers', key], name, value)
    else warn(name, 'one of its fields has a name or a value that a header cannot have: it is left out')
  }
}

function readSampler(env: Environment, put: Put, warn: WarnOf): void {
  const name = 'OTEL_TRACES_SAMPLER'
  const sampler = given(env, name)
  if (sampler === null) return
  const kind = sampler.replace(/^parentbased_/, '')
  if (kind === 'always_on') return put(['sample'], name, 100)
  if (kind === 'always_off') {
    put(['sample'], name, 0)
    put(['failed'], name, false)
    return put(['slow'], name, false)
  }
  if (kind !== 'traceidratio')
    return warn(
      name,
      `${sampler} is not known here: known are always_on, always_off, traceidratio, each also with parentbased_`,
    )
  const ratioName = 'OTEL_TRACES_SAMPLER_ARG'
  const ratio = given(env, ratioName)
  // Without one it is 1.0, says the specification.
  if (ratio === null) return put(['sample'], name, 100)
  const value = Number(ratio)
  if (value >= 0 && value <= 1) put(['sample'], ratioName, Number((value * 100).toPrecision(12)))
  else warn(ratioName, 'this is not a ratio from 0 to 1, so it is not used')
}

function formatsOf(propagators: string): string[] {
  const names = new Set(propagators.split(',').map(each => each.trim()))
  return [...(names.has('tracecontext') ? ['w3c'] : []), ...(names.has('b3') || names.has('b3multi') ? ['b3'] : [])]
}

function readBatch(env: Environment, put: Put, warn: WarnOf): void {
  const read = (name: string, least: number, use: (value: number) => void) => {
    const text = given(env, name)
    if (text !== null) number(name, text, least, warn, use)
  }
  read('OTEL_BSP_SCHEDULE_DELAY', 0, value => put(['batch', 'delay'], 'OTEL_BSP_SCHEDULE_DELAY', `${value}ms`))
  read('OTEL_BSP_EXPORT_TIMEOUT', 1, value => put(['timeout'], 'OTEL_BSP_EXPORT_TIMEOUT', `${value}ms`))
  read('OTEL_BSP_MAX_QUEUE_SIZE', 1, value =>
    put(['batch', 'queue'], 'OTEL_BSP_MAX_QUEUE_SIZE', Math.min(value, 100_000)),
  )
  read('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 1, value =>
    put(['batch', 'spans'], 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', Math.min(value, 10_000)),
  )
}

function readResource(env: Environment, put: Put, warn: WarnOf): void {
  const name = 'OTEL_RESOURCE_ATTRIBUTES'
  for (const [key, value] of pairs(name, given(env, name), warn)) {
    if (/^[\x21-\x7e]{1,128}$/.test(key)) put(['attributes', key], name, value.slice(0, 256))
    else warn(name, 'one of its attributes has a name that is empty, too long or not ASCII: it is left out')
  }
  const service = given(env, 'OTEL_SERVICE_NAME')
  if (service !== null) put(['attributes', 'service.name'], 'OTEL_SERVICE_NAME', service.slice(0, 256))
}

// ── values ──

/** An empty variable counts as not set. */
function given(env: Environment, name: string): string | null {
  const value = env[name]?.trim()
  return value === undefined || value === '' ? null : value
}

function isTrue(value: string | undefined): boolean {
  return value?.trim().toLowerCase() === 'true'
}

/** The one for traces counts over the one for all signals. */
function either(env: Environment, own: string, general: string): readonly [name: string, value: string | null] {
  const value = given(env, own)
  return value === null ? [general, given(env, general)] : [own, value]
}

function number(name: string, text: string, least: number, warn: WarnOf, use: (value: number) => void): void {
  const value = Number(text)
  if (/^\d{1,9}$/.test(text) && value >= least) use(value)
  else warn(name, `this is not a whole number${least > 0 ? ` from ${least} on` : ''}, so it is not used`)
}

/** `key=value,key=value`, both percent-encoded (W3C Baggage). */
function pairs(name: string, text: string | null, warn: WarnOf): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = []
  for (const pair of text === null ? [] : text.split(',')) {
    if (pair.trim() === '') continue
    const equals = pair.indexOf('=')
    const decoded = equals < 1 ? null : decode(pair.slice(0, equals).trim(), pair.slice(equals + 1).trim())
    if (decoded === null) warn(name, 'one of its pairs is not name=value, percent-encoded: it is left out')
    else found.push(decoded)
  }
  return found
}

function decode(key: string, value: string): readonly [string, string] | null {
  try {
    return [decodeURIComponent(key), decodeURIComponent(value)]
  } catch {
    return null
  }
}

// ── as a document ──

function at(name: string): Position {
  return { file: `${VARIABLE}${name}`, line: 1, column: 1 }
}

function scalar(name: string, value: string | number | boolean): Located {
  return { kind: 'scalar', at: at(name), value, written: null }
}

function list(name: string, items: readonly string[]): Located {
  return { kind: 'list', at: at(name), items: items.map(item => scalar(name, item)) }
}

function set(tree: Tree, [step, ...rest]: readonly string[], value: Located): void {
  if (rest.length === 0) tree[step!] = value
  else {
    const inner = (Object.hasOwn(tree, step!) ? tree[step!] : {}) as Tree
    tree[step!] = inner
    set(inner, rest, value)
  }
}

function map(position: Position, tree: Tree): Located {
  const entries = Object.entries(tree).map(([key, inner]): [string, LocatedEntry] => {
    const node = isLocated(inner) ? inner : map(position, inner)
    return [key, { keyAt: node.at, node }]
  })
  return { kind: 'map', at: position, entries: new Map(entries) }
}

function isLocated(inner: Tree | Located): inner is Located {
  return typeof inner.kind === 'string' && 'at' in inner
}
