import type { EndpointView, LimitView } from '../core/channel.ts'
import { endpointState } from '../core/endpoint-state.ts'
import { evidenceText } from '../core/evidence-text.ts'
import type { CheckedService } from '../core/health-checks.ts'
import { printable } from '../core/printable.ts'
import type { SourceStatus } from '../core/source.ts'
import type { ServiceView } from './endpoints-merge.ts'
import { isUsable, type Selection } from './endpoints-select.ts'
import { type Align, columns, count, duration, plural } from './text.ts'

/** By default people get at most this many rows. */
const MOST_ROWS = 40

interface Column {
  readonly title: string
  readonly align: Align
  /** The column is omitted where every endpoint has this value. */
  readonly plain?: string
  cell(endpoint: EndpointView, total: number): string
}

const table: readonly Column[] = [
  { title: 'ENDPOINT', align: 'left', cell: ({ address }) => address },
  { title: 'WEIGHT', align: 'right', cell: weightText },
  { title: 'PRIORITY', align: 'right', plain: '0', cell: ({ priority }) => String(priority) },
  { title: 'ZONE', align: 'left', cell: ({ zone }) => zone || '-' },
  { title: 'HEALTH', align: 'left', cell: ({ health, warming }) => (warming ? `${health}, warming up` : health) },
  { title: 'ACTIVE', align: 'right', cell: ({ active }) => count(active) },
  { title: 'PROTOCOL', align: 'left', plain: 'HTTP/1.1', cell: ({ protocol }) => protocol },
  { title: 'CONNS', align: 'right', cell: ({ connections }) => count(connections) },
  { title: 'IDLE', align: 'right', cell: ({ idle }) => count(idle) },
  { title: 'LIMITS', align: 'left', plain: '', cell: ({ limits }) => (limits ?? []).map(useText).join(' ') },
  { title: 'PENDING', align: 'right', cell: ({ pending }) => count(pending) },
  {
    title: 'REQUESTS',
    align: 'right',
    cell: ({ requests }, total) => `${count(requests)}${total === 0 ? '' : ` (${share(requests, total)})`}`,
  },
  { title: 'FAILED', align: 'right', cell: ({ failures }) => count(failures) },
  { title: 'P50', align: 'right', cell: ({ p50Ms, requests }) => (requests === 0 ? '-' : duration(p50Ms)) },
  { title: 'P99', align: 'right', cell: ({ p99Ms, requests }) => (requests === 0 ? '-' : duration(p99Ms)) },
  { title: 'STATE', align: 'left', cell: stateText },
  {
    title: 'METADATA',
    align: 'left',
    cell: ({ metadata }) =>
      Object.entries(metadata)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
  },
]

export type ServiceWithSources = ServiceView & {
  readonly sources: readonly SourceStatus[]
  /** Null: its endpoints are not checked. */
  readonly checks: CheckedService | null
}

/** The part of a service that is shown to people. */
export interface Choice {
  readonly rows: readonly EndpointView[]
  /** Selected, but not shown. */
  readonly left: number
  /** Requests of all endpoints. */
  readonly total: number
  /** There are so many that the page counts their states. */
  readonly tallied: boolean
}

/** A large service shows by default those most in need of attention. */
export function choose(
  { endpoints }: ServiceView,
  chosen: readonly EndpointView[],
  { limit, sort }: Selection,
): Choice {
  const ordered = sort === null && limit === null && chosen.length > MOST_ROWS ? mostWorthLooking(chosen) : chosen
  const rows = limit === null ? ordered.slice(0, MOST_ROWS) : ordered
  const total = endpoints.reduce((sum, endpoint) => sum + endpoint.requests, 0)
  return { rows, left: chosen.length - rows.length, total, tallied: endpoints.length > MOST_ROWS }
}

/** A service as text: a summary, then the selected endpoints. */
export function serviceText(
  service: ServiceWithSources,
  chosen: readonly EndpointView[],
  selection: Selection,
): string {
  const { name, policy, active, endpoints, notes, sources, checks } = service
  const { only, zone } = selection
  const usable = endpoints.filter(isUsable).length
  const title = `${name}  ${policy}, ${usable} of ${plural(endpoints.length, 'endpoint')} usable, ${count(active)} active`
  const about = [...sources.map(sourceText), ...(checks === null ? [] : [checksText(checks)]), ...notes]
  const lines = [title, ...about.map(line => `  ${line}`)].map(printable)
  if (endpoints.length === 0) return [...lines, '  none: requests are answered with 503 UH', ''].join('\n')
  const { rows, left, total, tallied } = choose(service, chosen, selection)
  if (tallied) lines.push(`  ${tally(endpoints)}`)
  const shown = table.filter(
    column => column.plain === undefined || rows.some(endpoint => column.cell(endpoint, total) !== column.plain),
  )
  const cells = rows.map(endpoint => shown.map(column => column.cell(endpoint, total)))
  if (rows.length > 0)
    lines.push(
      columns(
        [shown.map(column => column.title), ...cells],
        shown.map(column => column.align),
        '  ',
      ),
    )
  else
    lines.push(
      `  none of them is ${[only, zone === null ? null : `in zone ${printable(zone)}`].filter(wish => wish !== null).join(' and ')}`,
    )
  for (const endpoint of rows) {
    const failures = evidenceOf(endpoint)
    if (failures !== '') lines.push(printable(`  last failures of ${endpoint.address}: ${failures}`))
  }
  if (left > 0)
    lines.push(`  and ${count(left)} more: ?service=${name}&limit=all shows all, ?only=, ?zone= and ?sort= choose`)
  return [...lines, ''].join('\n')
}

function useText({ limit, used, most }: LimitView): string {
  return `${limit} ${count(used)} of ${count(most)}`
}

/** How many are in each state, by zone where there are several. */
export function tally(endpoints: readonly EndpointView[]): string {
  const zones = Map.groupBy(endpoints, ({ zone }) => zone || '-')
  const parts = [...zones]
    .toSorted(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([zone, its]) => {
      const states = Map.groupBy(its, endpoint => endpointState(endpoint).replace('admitting', 'usable'))
      const counts = [...states].map(([state, those]) => `${count(those.length)} ${state}`).join(', ')
      return zones.size === 1 ? counts : `zone ${zone}: ${counts}`
    })
  return parts.join('; ')
}

/** Unused endpoints first, then those that failed most, then the slowest. */
function mostWorthLooking(endpoints: readonly EndpointView[]): readonly EndpointView[] {
  const rate = ({ failures, requests }: EndpointView) => (requests === 0 ? 0 : failures / requests)
  const odd = (endpoint: EndpointView) =>
    endpoint.state === 'ejected'
      ? 3
      : !isUsable(endpoint)
        ? 2
        : endpoint.state === 'probing' || endpoint.healthReason !== ''
          ? 1
          : 0
  return endpoints.toSorted((a, b) => odd(b) - odd(a) || rate(b) - rate(a) || b.p99Ms - a.p99Ms)
}

export function weightText({ weight, effectiveWeight }: EndpointView): string {
  if (Math.abs(effectiveWeight - weight) < 0.005 * weight) return String(weight)
  return `${weight} as ${effectiveWeight.toPrecision(2)}`
}

export function share(requests: number, total: number): string {
  const percent = (100 * requests) / total
  return `${percent > 0 && percent < 1 ? percent.toFixed(1) : Math.round(percent)}%`
}

export function stateText(endpoint: EndpointView): string {
  const { state, reason, ejectedForMs, health, healthReason, byHand, shadowForMs } = endpoint
  const words =
    state === 'ejected'
      ? byHand === undefined
        ? `ejected for ${duration(ejectedForMs)} more: ${reason}`
        : `ejected by an operator${byHand === 'forced' ? ', by force,' : ''} for ${duration(ejectedForMs)} more`
      : state === 'probing'
        ? `probing (was ejected: ${reason})`
        : shadowForMs !== undefined
          ? `${state}; would be ejected (mode: shadow) for ${duration(shadowForMs)} more: ${reason}`
          : health === 'passing'
            ? state
            : ''
  return [words, healthReason].filter(text => text !== '').join('; ') || 'not used'
}

/** Why it is, or was, not used; empty: nothing is held against it now. */
export function evidenceOf({ state, shadowForMs, byHand, evidence = [] }: EndpointView): string {
  const isHeldAgainst = (state !== 'admitting' && byHand === undefined) || shadowForMs !== undefined
  return isHeldAgainst ? evidence.map(evidenceText).join(', ') : ''
}

export function sourceText({ name, state, ageMs, trouble, endpoints, suspects, fromDisk }: SourceStatus): string {
  const since = ageMs === null ? '' : `, ${duration(ageMs)} ago`
  const doubted = suspects === 0 ? '' : `, ${count(suspects)} of them left out by it but still answering`
  const what = `${plural(endpoints, 'endpoint')}${doubted}`
  if (state === 'fresh') return `from ${name}: ${what}, confirmed${since.slice(1)}`
  if (state === 'waiting') return `from ${name}: no answer yet${trouble === '' ? '' : `: ${trouble}`}`
  return `from ${name}: STALE${since}${fromDisk ? ' (read from the disk)' : ''}: ${what} kept: ${trouble || 'no answer since the start'}`
}

export function checksText({
  check,
  intervalMs,
  isQuiet,
  healthy,
  unhealthy,
  unchecked,
  waiting,
  counts,
}: CheckedService): string {
  const states = [
    `${count(healthy)} healthy`,
    ...(unhealthy === 0 ? [] : [`${count(unhealthy)} unhealthy`]),
    ...(unchecked === 0 ? [] : [`${count(unchecked)} not checked yet`]),
  ]
  const pace = `every ${duration(intervalMs)}${isQuiet ? ', because it has no requests' : ''}`
  const behind = waiting === 0 ? '' : `; ${plural(waiting, 'check')} wait for others that run`
  const own =
    counts.local === 0 ? '' : `; ${count(counts.local)} could not be made, because this machine lacked something`
  return `checked by ${check} ${pace}: ${states.join(', ')}${behind}${own}`
}
