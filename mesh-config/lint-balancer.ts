import { change, removal, suggested } from './fix.ts'
import type { Path, Warn } from './located.ts'
import type { ServiceSpec } from './snapshot.ts'

const keyed = ['ring_hash', 'maglev']

/** Warns of balancer settings without the intended effect. `zone`: of this sidecar. */
export function lintBalancer({ name, balancer, endpoints }: ServiceSpec, zone: string, path: Path, warn: Warn): void {
  const { type, hashOn, hashBalanceFactor, zoneAware } = balancer
  const hashes = keyed.includes(type) || type === 'ip_hash'
  if (keyed.includes(type) && hashOn.length === 0)
    warn(
      path,
      `${type} has nothing to hash, so requests to ${name} go to random endpoints: write hashOn: [ { header: x-user } ], or type: ip_hash`,
      suggested(change([...path, 'type'], 'ip_hash')),
    )
  if (!keyed.includes(type) && hashOn.length > 0)
    warn(
      [...path, 'hashOn'],
      `${type} does not hash${type === 'ip_hash' ? ' anything but the address of the caller' : ''}: write type: maglev, or remove hashOn`,
      suggested(removal([...path, 'hashOn'])),
    )
  const made = hashOn.findIndex(key => key.kind === 'cookie' && key.ttlMs > 0)
  const before = hashOn.slice(0, Math.max(0, made)).findIndex(key => !key.terminal)
  if (before >= 0)
    warn(
      [...path, 'hashOn', before],
      'a cookie is made for callers without one and counts as well, so they meet another endpoint each time: write terminal: true here',
      change([...path, 'hashOn', before, 'terminal'], true),
    )
  if (!hashes && hashBalanceFactor > 0)
    warn(
      [...path, 'hashBalanceFactor'],
      `${type} does not hash, so this has no effect: write type: maglev, or remove it`,
      suggested(removal([...path, 'hashBalanceFactor'])),
    )
  const zones = new Set(endpoints.flatMap(({ zone }) => (zone === '' ? [] : [zone])))
  if (zone !== '' && !hashes && zoneAware.on && zones.size > 1 && endpoints.length < zoneAware.minEndpoints)
    warn(
      [...path, 'zoneAware', 'minEndpoints'],
      `${name} has ${endpoints.length} endpoints in ${zones.size} zones, and zones count from ${zoneAware.minEndpoints} endpoints on: write zoneAware: { minEndpoints: ${endpoints.length} } to keep to the own zone`,
      suggested(change([...path, 'zoneAware', 'minEndpoints'], endpoints.length)),
    )
}
