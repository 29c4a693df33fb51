import { addressOf, parseAddress } from './address.ts'
import { parseJson } from './bounded-json.ts'
import type { EndpointHealth, EndpointSpec } from './snapshot.ts'
import { MAX_WEIGHT } from './weight.ts'

/** A longer list is a mistake, and would hold up data threads. */
export const MOST_ENDPOINTS = 50_000

/**
 * Reads the endpoints of a JSON file without the libraries that endpoint-file.ts needs: they would cost a proxy that
 * reads such a file 20 MB for good. Null: another form, or an error, which endpoint-file.ts then explains. A file that
 * this accepts, endpoint-file.ts accepts with the same result, except for a key that is given twice.
 */
export function endpointsOfJson(text: string): EndpointSpec[] | null {
  let root: unknown
  try {
    root = parseJson(text)
  } catch {
    return null
  }
  if (!Array.isArray(root)) return null
  const endpoints: EndpointSpec[] = []
  for (const item of root) {
    const read = readItem(item)
    if (read === null) return null
    for (const endpoint of read) endpoints.push(endpoint)
    if (endpoints.length > MOST_ENDPOINTS) return null
  }
  return endpoints
}

type Fields = Readonly<Record<string, unknown>>

function readItem(item: unknown): EndpointSpec[] | null {
  if (typeof item === 'string') return isAddress(item) ? [endpointOf(item, {})] : null
  if (!isFields(item)) return null
  if ('targets' in item) return readGroup(item)
  const { address, weight = 1, priority = 0, zone, meta = {}, health = 'passing', ...others } = item
  if (Object.keys(others).length > 0 || !isAddress(address)) return null
  if (!isWhole(weight, 1, MAX_WEIGHT) || !isWhole(priority, 0, 127) || !isTexts(meta)) return null
  if ((zone !== undefined && !isZone(zone)) || (health !== 'passing' && health !== 'failing' && health !== 'draining'))
    return null
  return [endpointOf(address, { weight, priority, zone: zone ?? '', metadata: meta, health })]
}

/** Of Prometheus's file_sd. */
function readGroup({ targets, labels = {}, ...others }: Fields): EndpointSpec[] | null {
  if (Object.keys(others).length > 0 || !Array.isArray(targets) || !targets.every(isAddress) || !isTexts(labels))
    return null
  const { zone = '' } = labels
  if (zone !== '' && !isZone(zone)) return null
  const metadata = Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith('__')))
  return targets.map(target => endpointOf(target, { zone, metadata }))
}

function endpointOf(address: string, fields: Partial<EndpointSpec>): EndpointSpec {
  const { weight = 1, priority = 0, zone = '', metadata = {}, health = 'passing' as EndpointHealth } = fields
  return {
    ...addressOf(address),
    weight,
    priority,
    zone,
    metadata,
    health,
    healthReason: health === 'passing' ? '' : 'as listed',
  }
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && (parseAddress(value)?.port ?? 0) > 0
}

function isZone(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(value)
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return (
    isFields(value) &&
    !Object.hasOwn(value, '__proto__') &&
    Object.values(value).every(text => typeof text === 'string')
  )
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
