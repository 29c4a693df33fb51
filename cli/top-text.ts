import { addBuckets, quantileOf, type SparseHistogram } from '../agent/stats/histogram.ts'
import { isFailure } from '../agent/stats/summary.ts'
import type { TopEndpoint, TopReply, WireEdge } from '../agent/stats/top.ts'
import { printable } from '../proxy/core/printable.ts'
import type { Colours } from './colours.ts'
import { type Cell, count, cut, milliseconds, percent, table } from './table.ts'

export const sortKeys = ['rate', 'errors', 'p99', 'name'] as const
export type TopSort = (typeof sortKeys)[number]

export interface TopLook {
  /** Null: all. */
  readonly service: string | null
  readonly sort: TopSort
  readonly width: number
  /** Null: as many as there are. */
  readonly rows: number | null
  readonly colours: Colours
}

export interface ServiceRates {
  readonly service: string
  readonly perSecond: number
  readonly failedPerSecond: number
  /** Null: no requests. */
  readonly success: number | null
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly retriesPerSecond: number
  /** The services that call it, the busiest first. */
  readonly callers: readonly string[]
}

export interface EndpointRates extends Omit<TopEndpoint, 'requests' | 'failures'> {
  readonly perSecond: number
  readonly failedPerSecond: number
}

/** The numbers of the screen. */
export function servicesOf(
  { edges, endpoints, spanMs }: TopReply,
  only: string | null,
): { services: ServiceRates[]; endpoints: EndpointRates[] } {
  const seconds = Math.max(1, spanMs / 1000)
  const groups = new Map<string, { out: WireEdge[]; in: WireEdge[] }>()
  for (const edge of edges) {
    if (edge.destination === '' || (only !== null && edge.destination !== only)) continue
    const group = groups.get(edge.destination) ?? { out: [], in: [] }
    groups.set(edge.destination, group)
    group[edge.inbound ? 'in' : 'out'].push(edge)
  }
  return {
    services: [...groups].map(([service, group]) => ratesOf(service, group, seconds)),
    endpoints: endpoints
      .filter(({ service }) => only === null || service === only)
      .map(({ requests, failures, ...rest }) => ({
        ...rest,
        perSecond: requests / seconds,
        failedPerSecond: failures / seconds,
      })),
  }
}

/** As its callers see it, retries and all; a service that no sidecar calls, as its own sidecars see it. */
function ratesOf(service: string, group: { out: WireEdge[]; in: WireEdge[] }, seconds: number): ServiceRates {
  const edges = group.out.length > 0 ? group.out : group.in
  const histogram: SparseHistogram = new Map()
  const bySource = new Map<string, number>()
  let requests = 0
  let failed = 0
  let retries = 0
  for (const edge of edges) {
    let own = 0
    for (const each of edge.counts) {
      own += each.count
      if (isFailure(each)) failed += each.count
    }
    requests += own
    retries += edge.retries
    bySource.set(edge.source, (bySource.get(edge.source) ?? 0) + own)
    addBuckets(histogram, edge.buckets, edge.bucketCounts)
  }
  return {
    service,
    perSecond: requests / seconds,
    failedPerSecond: failed / seconds,
    success: requests === 0 ? null : 1 - failed / requests,
    p50Ms: quantileOf(histogram, 0.5),
    p99Ms: quantileOf(histogram, 0.99),
    retriesPerSecond: retries / seconds,
    callers: [...bySource].sort((a, b) => b[1] - a[1]).map(([source]) => source || '-'),
  }
}

const orders: Readonly<Record<TopSort, (a: ServiceRates, b: ServiceRates) => number>> = {
  rate: (a, b) => b.perSecond - a.perSecond,
  errors: (a, b) => b.failedPerSecond - a.failedPerSecond,
  p99: (a, b) => (b.p99Ms ?? 0) - (a.p99Ms ?? 0),
  name: (a, b) => (a.service < b.service ? -1 : 1),
}

/** One screen, or all of it. No line is wider than `width`. */
export function topLines(reply: TopReply, look: TopLook): string[] {
  const { colours, width, sort, rows } = look
  const { bold, dim, yellow } = colours
  const found = servicesOf(reply, look.service)
  const services = found.services.sort((a, b) => orders[sort](a, b) || orders.name(a, b))
  const rank = new Map(services.map(({ service }, index) => [service, index]))
  const endpoints = found.endpoints.sort(
    (a, b) =>
      (rank.get(a.service) ?? 1e9) - (rank.get(b.service) ?? 1e9) ||
      (a.service < b.service ? -1 : a.service > b.service ? 1 : b.perSecond - a.perSecond),
  )
  const time = new Date(reply.atMs).toISOString().slice(11, 19)
  const title = `${bold('outrigger top')}  ${dim(`${time} UTC  ${count(reply.proxies, 'proxy', 'proxies')}, last ${Math.round(reply.spanMs / 1000)} s, by ${sort}`)}`
  const troubles = reply.troubles.map(trouble => yellow(printable(`! ${trouble}`)))
  const head = [title, ...troubles, '']
  // Two headers, an empty line, and two lines that say how many more there are.
  const left = rows === null ? null : Math.max(2, rows - head.length - 5)
  const serviceRoom = left === null ? services.length : Math.min(services.length, Math.max(3, Math.floor(left / 2)))
  const endpointRoom = left === null ? endpoints.length : Math.max(0, left - serviceRoom)
  const lines = [
    ...head,
    ...table([serviceHead(colours), ...services.slice(0, serviceRoom).map(row => serviceRow(row, colours))], width, 3),
    ...more(services.length - serviceRoom, 'service', colours),
    ...(services.length === 0 ? [dim('no requests, or no proxy that tells of them')] : []),
    '',
    ...(endpointRoom === 0 || endpoints.length === 0
      ? []
      : table(endpointTable(shownEndpoints(endpoints, endpointRoom), colours), width, 3)),
    ...more(endpoints.length - endpointRoom, 'endpoint', colours),
  ]
  return (rows === null ? lines : lines.slice(0, rows)).map(line => cut(line, width))
}

/** Where there is no room for all, those in trouble come first. */
function shownEndpoints(endpoints: readonly EndpointRates[], room: number): readonly EndpointRates[] {
  if (endpoints.length <= room) return endpoints
  const trouble = ({ ejected, unhealthy, failedPerSecond }: EndpointRates) =>
    Number(ejected + unhealthy > 0) * 2 + Number(failedPerSecond > 0)
  return [...endpoints].sort((a, b) => trouble(b) - trouble(a)).slice(0, room)
}

function more(number: number, what: string, { dim }: Colours): string[] {
  return number > 0 ? [dim(`and ${count(number, `more ${what}`)}`)] : []
}

const right = (text: string, paint?: (text: string) => string): Cell =>
  paint === undefined ? { text, right: true } : { text, right: true, paint }

function serviceHead({ dim }: Colours): Cell[] {
  const names = ['CALLS/S', 'SUCCESS', 'P50', 'P99', 'RETRIES/S']
  return [{ text: 'SERVICE', paint: dim }, ...names.map(name => right(name, dim)), { text: 'FROM', paint: dim }]
}

function serviceRow(row: ServiceRates, { bold, green, red, yellow, dim }: Colours): Cell[] {
  const { service, perSecond, success, p50Ms, p99Ms, retriesPerSecond, callers } = row
  return [
    { text: service, paint: bold },
    right(rate(perSecond)),
    right(percent(success), success === null ? dim : success === 1 ? green : red),
    right(milliseconds(p50Ms)),
    right(milliseconds(p99Ms)),
    right(rate(retriesPerSecond), retriesPerSecond === 0 ? dim : yellow),
    { text: callers.join(', '), paint: dim },
  ]
}

/** The reasons of discovery have a column where there are any. */
function endpointTable(rows: readonly EndpointRates[], colours: Colours): Cell[][] {
  const { dim } = colours
  const numbers = ['CALLS/S', 'FAILED/S', 'ACTIVE'].map(name => right(name, dim))
  const head = [...['ENDPOINT', 'SERVICE', 'STATE'].map(text => ({ text, paint: dim })), ...numbers]
  const cells = rows.map(row => endpointRow(row, colours))
  if (rows.every(({ reason }) => reason === '')) return [head, ...cells]
  return [
    [...head, { text: 'WHY', paint: dim }],
    ...cells.map((row, i) => [...row, { text: rows[i]!.reason, paint: dim }]),
  ]
}

function endpointRow(row: EndpointRates, { red, green, yellow, dim }: Colours): Cell[] {
  const { service, endpoint, proxies, ejected, unhealthy, perSecond, failedPerSecond, active } = row
  const kept = proxies - ejected - unhealthy
  const paint = kept === proxies ? green : kept <= 0 ? red : yellow
  return [
    { text: endpoint },
    { text: service, paint: dim },
    { text: stateOf(row), paint },
    right(rate(perSecond), perSecond === 0 ? dim : undefined),
    right(rate(failedPerSecond), failedPerSecond === 0 ? dim : red),
    right(String(active), active === 0 ? dim : undefined),
  ]
}

/** What discovery says of it, and who has ejected it. */
function stateOf({ proxies, ejected, health, unhealthy }: EndpointRates): string {
  const words = [
    ...(unhealthy === 0 ? [] : [unhealthy === proxies ? health : `${health} for ${unhealthy} of ${proxies}`]),
    ...(ejected === 0 ? [] : [ejected === proxies ? 'ejected' : `ejected by ${ejected} of ${proxies}`]),
  ]
  return words.join(', ') || 'admitting'
}

function rate(perSecond: number): string {
  if (perSecond === 0) return '0'
  return perSecond < 10 ? perSecond.toFixed(1) : String(Math.round(perSecond)).replace(/\B(?=(\d{3})+$)/g, ',')
}
