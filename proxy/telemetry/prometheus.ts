import { createRequire } from 'node:module'
import type { Registry } from 'prom-client'
import type { MetricAliases } from '../../mesh-config/snapshot.ts'
import { bucketBound, HISTOGRAM_BUCKETS, OCTAVES } from '../core/slots.ts'
import { type Exemplar, type Family, type Series, type SeriesStore, sumOf } from './series-store.ts'
import { grpcRequests, type View, viewed } from './views.ts'

/** The methods of a metric that prom-client calls for the exposition. */
interface Exposed {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly values: Iterable<Sample>
}

interface Sample {
  metricName: string
  labels: Readonly<Record<string, string>>
  /** prom-client flattens each labels object once and keeps the result as long as the object lives. */
  sharedLabels: Readonly<Record<string, string>>
  value: number
  exemplar: ShownExemplar | undefined
}

interface ShownExemplar {
  readonly labelSet: Readonly<Record<string, string>>
  readonly value: number
  readonly timestamp: number
}

export interface ExpositionOptions {
  /** OpenMetrics 1.0, with exemplars; else the text format of Prometheus. */
  readonly openMetrics: boolean
  readonly aliases: readonly MetricAliases[]
}

const none = Object.freeze({})

/**
 * The exposed bounds: each power of two of microseconds from 128 us to 134 s, in seconds or milliseconds, with the
 * first bucket that is not below it.
 */
const boundsIn = (perMillisecond: number) =>
  Array.from({ length: OCTAVES }, (_, octave) => {
    const last = (octave + 1) * 8
    return [last + 1, { le: String(bucketBound(last) / perMillisecond) }] as const
  })
const boundsInSeconds = boundsIn(1000)
const boundsInMilliseconds = boundsIn(1)
const infinity = { le: '+Inf' }

/**
 * Only the registry of prom-client, without its own metrics, cluster mode and tracing: 1 ms and 2 MB instead of 30 ms
 * and 13 MB. Loaded at the first scrape; the values come from the shared slots.
 */
function newRegistry(openMetrics: boolean): Registry {
  const Loaded = createRequire(import.meta.url)('prom-client/lib/registry.js') as typeof Registry
  const registry: { setContentType(type: string): void } & Registry = new Loaded()
  registry.setContentType(openMetrics ? Loaded.OPENMETRICS_CONTENT_TYPE : Loaded.PROMETHEUS_CONTENT_TYPE)
  return registry
}

/** Lines that are joined at a time: the page of a large mesh has megabytes, and is never held as a whole. */
const CHUNK = 512

export interface Exposition {
  readonly type: string
  readonly body: AsyncIterable<string>
}

/** The text of /metrics, made piece by piece while it is read. */
export function prometheusPage(store: SeriesStore): (options: ExpositionOptions) => Exposition {
  const registries = new Map<boolean, Registry>()
  return options => {
    const { openMetrics } = options
    const registry = registries.get(openMetrics) ?? newRegistry(openMetrics)
    registries.set(openMetrics, registry)
    return { type: registry.contentType, body: exposition(registry, store, options) }
  }
}

async function* exposition(
  registry: Registry,
  store: SeriesStore,
  { openMetrics, aliases }: ExpositionOptions,
): AsyncIterable<string> {
  const views: View[] = [grpcRequests]
  if (aliases.length > 0) {
    const known = (await import('./aliases.ts')).aliases
    for (const each of aliases) views.push(...known[each])
  }
  yield* families(registry, store.families(), openMetrics)
  yield* families(registry, viewed(store, views), openMetrics)
  if (openMetrics) yield '# EOF\n'
}

async function* families(registry: Registry, all: Iterable<Family>, openMetrics: boolean): AsyncIterable<string> {
  for (const family of all) {
    const named = openMetrics ? inOpenMetrics(family) : family
    const samples =
      family.type === 'histogram' ? histogramSamples(family) : plainSamples(named.name, family.series.values())
    let chunk = take(samples)
    let text = await write(registry, named, chunk)
    while (text !== '') {
      yield text
      if (chunk.done()) break
      chunk = take(samples)
      text = withoutHeader(await write(registry, named, chunk))
    }
  }
}

/** The family of a counter has no `_total`, which its samples get; what has no type is `unknown`. */
function inOpenMetrics({ name, help, type }: Family): Omit<Exposed, 'values'> {
  if (type === 'untyped') return { name, help, type: 'unknown' }
  return { name: type === 'counter' ? name.replace(/_total$/, '') : name, help, type }
}

async function write(
  registry: Registry,
  { name, help, type }: Omit<Exposed, 'values'>,
  values: Iterable<Sample>,
): Promise<string> {
  const exposed: Exposed = { name, help, type, values }
  // prom-client's types have only its own kinds of metrics; this is what it calls on any.
  registry.registerMetric({ name, get: () => exposed } as unknown as Parameters<Registry['registerMetric']>[0])
  const text = registry.getSingleMetricAsString(name)
  registry.removeSingleMetric(name)
  return `${await text}\n`
}

function withoutHeader(text: string): string {
  return text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1)
}

/** The next samples of an iterator, which continues afterwards. */
function take(samples: Iterator<Sample>): Iterable<Sample> & { done(): boolean } {
  let done = false
  return {
    done: () => done,
    *[Symbol.iterator]() {
      for (let i = 0; i < CHUNK; i++) {
        const next = samples.next()
        if (next.done === true) {
          done = true
          return
        }
        yield next.value
      }
    },
  }
}

/** Reuses one object: prom-client writes a line of it before it asks for the next. */
function* plainSamples(name: string, series: Iterable<Series>): Iterator<Sample> {
  const sample: Sample = { metricName: name, labels: none, sharedLabels: none, value: 0, exemplar: undefined }
  for (const each of series) {
    sample.sharedLabels = each.labels
    sample.value = sumOf(each, 0)
    yield sample
  }
}

function* histogramSamples({ name, series, unit }: Family): Iterator<Sample> {
  const bucket = `${name}_bucket`
  const sample: Sample = { metricName: bucket, labels: none, sharedLabels: none, value: 0, exemplar: undefined }
  const counts = new Float64Array(HISTOGRAM_BUCKETS + 1)
  for (const each of series.values()) {
    sumInto(counts, each)
    sample.sharedLabels = each.labels
    sample.metricName = bucket
    sample.value = 0
    let next = 0
    for (const [octave, [end, labels]] of (unit === undefined ? boundsInSeconds : boundsInMilliseconds).entries()) {
      while (next < end) sample.value += counts[next++]!
      sample.labels = labels
      sample.exemplar = shown(each.exemplars?.get(octave))
      yield sample
    }
    while (next < HISTOGRAM_BUCKETS) sample.value += counts[next++]!
    sample.labels = infinity
    sample.exemplar = shown(each.exemplars?.get(OCTAVES))
    yield sample
    const count = sample.value
    sample.exemplar = undefined
    sample.labels = none
    sample.metricName = `${name}_sum`
    sample.value = counts[HISTOGRAM_BUCKETS]! / (unit === undefined ? 1000 : 1)
    yield sample
    sample.metricName = `${name}_count`
    sample.value = count
    yield sample
  }
}

function shown(exemplar: Exemplar | undefined): ShownExemplar | undefined {
  return exemplar && { labelSet: { trace_id: exemplar.traceId }, value: exemplar.value, timestamp: exemplar.at }
}

function sumInto(counts: Float64Array, series: Series): void {
  if (series.carried === null) counts.fill(0)
  else counts.set(series.carried)
  for (const { values, index } of series.parts.values()) {
    for (let i = 0; i < counts.length; i++) counts[i]! += values[index + i]!
  }
}

/** Whether a scraper would rather have OpenMetrics, by its Accept header. */
export function prefersOpenMetrics(accept: string): boolean {
  let [open, text] = [0, 0]
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const written = parameters.find(parameter => parameter.startsWith('q='))
    const quality = written === undefined ? 1 : Number(written.slice(2)) || 0
    if (type === 'application/openmetrics-text') open = Math.max(open, quality)
    else if (type === 'text/plain') text = Math.max(text, quality)
  }
  return open > text
}
