import { checkConsulAccess } from './consul-access.ts'
import { type Located, nodeAt, type Say } from './located.ts'
import { entriesAt, scalarAt } from './look.ts'

/** Checks of `discovery` and `register` that concern several fields. */
export function crossCheckDiscovery(root: Located, say: Say): void {
  const consul = nodeAt(root, ['discovery', 'consul'])
  const register = nodeAt(root, ['register'])
  if (register?.kind === 'map') {
    if (consul === null)
      say(register.at, 'registering needs Consul: write discovery: { consul: { address: "http://127.0.0.1:8500" } }')
    const saysPort = nodeAt(register, ['port']) !== null
    const inbound = nodeAt(root, ['inbound', 0])
    if (!saysPort && inbound === null)
      say(register.at, 'there is no inbound listener whose port could be registered: write port: 8080')
    if (!saysPort && inbound !== null && nodeAt(inbound, ['forward']) === null && isRedirected(inbound))
      say(
        register.at,
        'callers connect to the port of the application, and are redirected to the inbound listener: write port: with that of the application',
      )
    const named = nodeAt(register, ['name']) !== null || nodeAt(root, ['service']) !== null
    if (!named)
      say(register.at, 'the service to register has no name: write service: orders at the top, or name: orders here')
  }
  if (consul?.kind !== 'map') return
  checkConsulAccess(consul, say)
}

function isRedirected(inbound: Located): boolean {
  return scalarAt(inbound, ['transparent'])?.value === true
}

/** Checks of balancer settings that belong together. */
export function crossCheckBalancer(root: Located, say: Say): void {
  for (const [, policy] of entriesAt(root, ['services'])) {
    const least = scalarAt(policy, ['balancer', 'minimumRingSize'])
    const most = scalarAt(policy, ['balancer', 'maximumRingSize'])
    const [low, high] = [Number(least?.value ?? 1024), Number(most?.value ?? 1_048_576)]
    if (low > high)
      say(
        (least ?? most)!.at,
        `the ring cannot have at least ${low} and at most ${high} points: write minimumRingSize: ${high} or less`,
      )
  }
}
