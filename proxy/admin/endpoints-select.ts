import type { EndpointView } from '../core/channel.ts'

/** Selects and sorts the endpoints of a service. */
export interface Selection {
  readonly service: string | null
  readonly zone: string | null
  readonly only: string | null
  readonly sort: string | null
  /** Null: not given. */
  readonly limit: number | null
}

const filters: Readonly<Record<string, (endpoint: EndpointView) => boolean>> = {
  usable: isUsable,
  unusable: endpoint => !isUsable(endpoint),
  admitting: ({ state }) => state === 'admitting',
  ejected: ({ state }) => state === 'ejected',
  held: ({ byHand }) => byHand !== undefined,
  shadow: ({ shadowForMs }) => shadowForMs !== undefined,
  probing: ({ state }) => state === 'probing',
  passing: ({ health }) => health === 'passing',
  failing: ({ health }) => health === 'failing',
  critical: ({ health }) => health === 'critical',
  maintenance: ({ health }) => health === 'maintenance',
  draining: ({ health }) => health === 'draining',
  warming: ({ warming }) => warming,
  doubted: ({ health, healthReason }) => health === 'passing' && healthReason !== '',
}

type Key = (endpoint: EndpointView) => number | string

/** Numbers from the highest, texts from A. */
const keys: Readonly<Record<string, Key>> = {
  address: ({ address }) => address,
  zone: ({ zone }) => zone,
  health: ({ health }) => health,
  state: ({ state }) => state,
  weight: ({ effectiveWeight }) => effectiveWeight,
  active: ({ active }) => active,
  connections: ({ connections }) => connections,
  pending: ({ pending }) => pending,
  requests: ({ requests }) => requests,
  failures: ({ failures }) => failures,
  p50: ({ p50Ms }) => p50Ms,
  p99: ({ p99Ms }) => p99Ms,
}

const known = ['service', 'zone', 'only', 'sort', 'limit', 'format', 'refresh']

/** The values of `only` and `sort`. */
export const filterNames = Object.keys(filters)
export const sortNames = Object.keys(keys)

/** Parses the query, or says what is wrong with it. A form sends its empty fields too; they count as not given. */
export function readSelection(query: URLSearchParams): Selection | string {
  for (const key of query.keys())
    if (!known.includes(key)) return `there is no parameter "${key}": there are ${known.join(', ')}`
  const only = query.get('only') || null
  if (only !== null && !Object.hasOwn(filters, only))
    return `only=${only} is unknown: write one of ${filterNames.join(', ')}`
  const sort = query.get('sort') || null
  if (sort !== null && !Object.hasOwn(keys, sort.replace(/^-/, '')))
    return `sort=${sort} is unknown: write one of ${sortNames.join(', ')}, with - before it for the other way round`
  const limit = query.get('limit') || null
  if (limit !== null && limit !== 'all' && !/^\d{1,9}$/.test(limit))
    return `limit=${limit} is no number: write limit=20, or limit=all`
  return {
    service: query.get('service') || null,
    zone: query.get('zone') || null,
    only,
    sort,
    limit: limit === null ? null : limit === 'all' ? Number.POSITIVE_INFINITY : Number(limit),
  }
}

/** By default programs get all, in the order of the host set. */
export function select(
  endpoints: readonly EndpointView[],
  { zone, only, sort, limit }: Selection,
): { readonly total: number; readonly endpoints: readonly EndpointView[] } {
  let chosen = endpoints.filter(
    endpoint => (zone === null || endpoint.zone === zone) && (only === null || filters[only]!(endpoint)),
  )
  const total = chosen.length
  if (sort !== null) chosen = sorted(chosen, keys[sort.replace(/^-/, '')]!, sort.startsWith('-'))
  return { total, endpoints: limit === null ? chosen : chosen.slice(0, limit) }
}

function sorted(endpoints: readonly EndpointView[], key: Key, reversed: boolean): EndpointView[] {
  const way = reversed ? -1 : 1
  return endpoints.toSorted((a, b) => {
    const [x, y] = [key(a), key(b)]
    if (typeof x === 'number' && typeof y === 'number') return way * (y - x)
    return way * String(x).localeCompare(String(y), 'en', { numeric: true })
  })
}

export function isUsable({ health, state }: EndpointView): boolean {
  return health === 'passing' && state !== 'ejected'
}
