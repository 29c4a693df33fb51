import { parseJson } from '../../mesh-config/bounded-json.ts'
import type { EndpointHealth, EndpointSpec } from '../../mesh-config/snapshot.ts'
import { boundedWeight } from '../../mesh-config/weight.ts'

/** The saved state of one source of one service. */
export interface Saved {
  readonly endpoints: readonly EndpointSpec[]
  /** When the source last confirmed it, in milliseconds since the epoch. */
  readonly savedAt: number
}

/** By service, then by source. */
export type SavedServices = ReadonlyMap<string, ReadonlyMap<string, Saved>>

const VERSION = 1

/**
 * The text of the file, without the services that would make it longer than `maxBytes`: those confirmed last come
 * first. `left`: how many are left out.
 */
export function formatSaved(
  services: SavedServices,
  savedAt: number,
  maxBytes: number,
): { readonly text: string; readonly left: number } {
  const latest = (sources: ReadonlyMap<string, Saved>) => Math.max(...[...sources.values()].map(saved => saved.savedAt))
  const entries = [...services].sort(([, a], [, b]) => latest(b) - latest(a))
  const parts: string[] = []
  let room = maxBytes - 100
  for (const [name, sources] of entries) {
    const part = `${JSON.stringify(name)}:${JSON.stringify(Object.fromEntries(sources))}`
    const bytes = Buffer.byteLength(part) + 2
    if (bytes > room) continue
    room -= bytes
    parts.push(part)
  }
  return {
    text: `{"version":${VERSION},"savedAt":${savedAt},"services":{\n${parts.join(',\n')}\n}}\n`,
    left: entries.length - parts.length,
  }
}

/**
 * The content, or why it cannot be used. Every value is checked, because the sidecar will connect to these addresses.
 */
export function parseSaved(text: string): Map<string, Map<string, Saved>> | string {
  let file: unknown
  try {
    file = parseJson(text)
  } catch (error) {
    return (error as Error).message
  }
  if (!isRecord(file)) return 'it is no JSON object'
  if (file.version !== VERSION)
    return `it is of version ${JSON.stringify(file.version)}, and this program reads ${VERSION}`
  if (!isRecord(file.services)) return 'it has no services'
  const services = new Map<string, Map<string, Saved>>()
  for (const [service, sources] of Object.entries(file.services)) {
    if (!isRecord(sources)) return `${service} has no sources`
    const read = new Map<string, Saved>()
    for (const [source, value] of Object.entries(sources)) {
      const saved = readSaved(value)
      if (saved === null) return `${service}: what it has of ${source} is not a list of endpoints`
      read.set(source, saved)
    }
    services.set(service, read)
  }
  return services
}

function readSaved(value: unknown): Saved | null {
  if (!isRecord(value) || typeof value.savedAt !== 'number' || !Array.isArray(value.endpoints)) return null
  const endpoints = value.endpoints.map(readEndpoint)
  return endpoints.every(endpoint => endpoint !== null) ? { endpoints, savedAt: value.savedAt } : null
}

const healths: Readonly<Record<EndpointHealth, true>> = {
  passing: true,
  failing: true,
  critical: true,
  maintenance: true,
  draining: true,
}

function readEndpoint(value: unknown): EndpointSpec | null {
  if (!isRecord(value)) return null
  const { address, port, weight, priority, zone, metadata, health, healthReason, from } = value
  if (!isHost(address) || typeof zone !== 'string' || typeof healthReason !== 'string' || !isHealth(health)) return null
  if (!isCount(port, 1) || port > 65_535 || !isCount(weight, 1) || !isCount(priority, 0) || !isTexts(metadata))
    return null
  if (from !== undefined && typeof from !== 'string') return null
  const standsIn = from === undefined ? {} : { from }
  return { address, port, weight: boundedWeight(weight), priority, zone, metadata, health, healthReason, ...standsIn }
}

/** Names are checked as a registry may have them: one odd name must not lose all the others. */
function isHost(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value)
}

function isHealth(value: unknown): value is EndpointHealth {
  return typeof value === 'string' && Object.hasOwn(healths, value)
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isRecord(value) && Object.values(value).every(text => typeof text === 'string')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown, min: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min
}
