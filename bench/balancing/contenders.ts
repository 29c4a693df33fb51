import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { Group, Scenario } from './scenario.ts'

/** A balancer as a user might configure it. */
export interface Contender {
  readonly name: string
  readonly balancer: Partial<BalancerSpec>
  /** Instances report their load (ORCA). */
  readonly reports: boolean
  /** The scenarios where it is of interest; null: all. */
  readonly groups: readonly Group[] | null
}

const HASH_ON = [{ kind: 'header', name: 'x-user', terminal: false }] as const

export const CONTENDERS: readonly Contender[] = [
  contender('round_robin', { type: 'round_robin' }),
  contender('random', { type: 'random' }),
  contender('least_request', { type: 'least_request' }),
  contender('least_request, 4 choices', { type: 'least_request', choices: 4 }, { groups: ['cold', 'gc', 'thousand'] }),
  contender('peak_ewma', { type: 'peak_ewma' }),
  contender('peak_ewma, 4 choices', { type: 'peak_ewma', choices: 4 }, { groups: ['cold', 'gc', 'thousand'] }),
  contender('response_time', { type: 'response_time' }),
  contender('adaptive', { type: 'adaptive' }),
  contender('adaptive, load reports', { type: 'adaptive' }, { reports: true, groups: ['capacities'] }),
  contender('ip_hash', { type: 'ip_hash' }),
  contender('ring_hash', { type: 'ring_hash', hashOn: HASH_ON }),
  contender(
    'ring_hash, 128 Ki points',
    { type: 'ring_hash', hashOn: HASH_ON, minimumRingSize: 131_072 },
    { groups: ['alike', 'thousand'] },
  ),
  contender('maglev', { type: 'maglev', hashOn: HASH_ON }),
  contender('maglev, bound 125 %', { type: 'maglev', hashOn: HASH_ON, hashBalanceFactor: 125 }),
]

function contender(name: string, balancer: Partial<BalancerSpec>, more: Partial<Contender> = {}): Contender {
  return { name, balancer, reports: false, groups: null, ...more }
}

export function contendersOf({ group }: Scenario, among = CONTENDERS): Contender[] {
  return among.filter(({ groups }) => groups === null || groups.includes(group))
}
