import { parseJson } from '../../mesh-config/bounded-json.ts'
import type { ConsulServiceSpec, DnsSourceSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { AgentDiscovery, AgentPolicy } from '../core/agent-policy.ts'
import { isRecord, listOf, misshapen } from './shape.ts'
import { consulShape, dnsShape, serviceShape } from './spec-shape.ts'

export interface PolicyTexts {
  readonly service: string
  readonly version: string
  readonly spec: string
  readonly provenance: string
  readonly discovery: string
}

/** Longer than this is no list of places, and is not shown. */
const MOST_PROVENANCE = 256 * 1024

/** Or why it cannot be used, a line each. Never throws. */
export function readPolicy({
  service,
  version,
  spec,
  provenance,
  discovery,
}: PolicyTexts): AgentPolicy | readonly string[] {
  try {
    const parsed = (text: string) => (text === '' ? null : parseJson(text))
    return policyOf(service, { version, spec: parsed(spec), provenance, discovery: parsed(discovery) })
  } catch (error) {
    return [`the compiled policy cannot be read: ${(error as Error).message}`]
  }
}

/** The same for JSON that is read already. */
export function policyOf(
  service: string,
  { version, spec, provenance, discovery }: Readonly<Record<keyof AgentPolicy, unknown>>,
): AgentPolicy | readonly string[] {
  if (typeof version !== 'string' || version === '') return ['it has no version']
  if (spec === null) return { version, spec: null, discovery: null, provenance: '' }
  const wrong = misshapen(spec, serviceShape)
  if (wrong.length > 0) return wrong.map(line => `the compiled policy does not have the form of this proxy: ${line}`)
  const { name } = spec as ServiceSpec
  if (name !== service) return [`the policy is for ${name}`]
  const read = discovery === null ? null : readDiscovery(service, discovery)
  if (isReasons(read)) return read
  const places = typeof provenance === 'string' && provenance.length <= MOST_PROVENANCE ? provenance : ''
  return { version, spec: spec as ServiceSpec, discovery: read, provenance: places }
}

export function isReasons(value: AgentPolicy | AgentDiscovery | null | readonly string[]): value is readonly string[] {
  return Array.isArray(value)
}

function readDiscovery(service: string, part: unknown): AgentDiscovery | readonly string[] {
  if (!isRecord(part)) return ['discovery is no map']
  const { consul, dns } = part
  const services = isRecord(consul) ? (consul.services ?? []) : null
  const wrong = [
    ...(services === null ? [] : misshapen(services, listOf(consulShape, 0, 100))),
    ...(dns === undefined ? [] : misshapen(dns, listOf(dnsShape, 0, 100))),
  ]
  if (wrong.length > 0) return wrong.map(line => `discovery does not have the form of this proxy: ${line}`)
  const own = <Source extends { readonly service: string }>(sources: unknown) =>
    (sources as readonly Source[]).filter(source => source.service === service)
  return {
    consul: services === null ? null : own<ConsulServiceSpec>(services),
    dns: dns === undefined ? null : own<DnsSourceSpec>(dns),
  }
}
