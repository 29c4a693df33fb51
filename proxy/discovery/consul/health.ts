import type { EndpointHealth } from '../../../mesh-config/snapshot.ts'
import { WARNING } from '../../../mesh-config/warns.ts'
import { boundedWeight } from '../../../mesh-config/weight.ts'
import { firstLine } from '../words.ts'
import type { CheckEntry, Entry } from './entry.ts'

export interface Judged {
  readonly health: EndpointHealth
  readonly reason: string
  readonly weight: number
}

const NODE_LOST = 'node lost: '

/**
 * The reason when the agents lost contact with the node (its serfHealth check). Often the network between them failed,
 * not the instance. Such an endpoint is critical like any other, and its reason is always the same text.
 */
export function isNodeLost(healthReason: string): boolean {
  return healthReason.startsWith(NODE_LOST)
}

/**
 * One state for all checks, as Consul itself combines them: maintenance, then critical, then warning. A warning
 * instance is used with its warning weight; a weight of 0 leaves it for panic only.
 */
export function judge({ Node, Service, Checks }: Entry): Judged {
  const checks = Checks ?? []
  const passing = boundedWeight(Service?.Weights?.Passing)
  const maintenance = checks.find(isMaintenance)
  if (maintenance !== undefined)
    return { health: 'maintenance', reason: firstLine(maintenance.Notes ?? '') || 'maintenance', weight: passing }
  const critical = checks.filter(({ Status }) => Status === 'critical')
  // The instance's own checks are more precise than the lost contact with its node.
  const worst = critical.find(check => !isSerf(check)) ?? critical[0]
  if (worst !== undefined) {
    const reason = isSerf(worst)
      ? `${NODE_LOST}${firstLine(Node?.Node ?? '')}: ${firstLine(worst.Output ?? '')}`
      : sayingOf(worst)
    return { health: 'critical', reason, weight: passing }
  }
  const warning = checks.find(({ Status }) => Status === 'warning')
  if (warning === undefined) return { health: 'passing', reason: '', weight: passing }
  const weight = Service?.Weights?.Warning ?? 1
  const reason = WARNING + sayingOf(warning)
  return weight <= 0
    ? { health: 'failing', reason, weight: passing }
    : { health: 'passing', reason, weight: boundedWeight(weight) }
}

function isMaintenance({ CheckID = '', Status }: CheckEntry): boolean {
  return Status !== 'passing' && (CheckID === '_node_maintenance' || CheckID.startsWith('_service_maintenance:'))
}

function isSerf({ CheckID }: CheckEntry): boolean {
  return CheckID === 'serfHealth'
}

/** `name: output`. */
function sayingOf({ CheckID, Name, Output }: CheckEntry): string {
  const name = firstLine(Name || CheckID || 'a check', 80)
  const said = firstLine(Output ?? '')
  return said === '' ? name : `${name}: ${said}`
}
