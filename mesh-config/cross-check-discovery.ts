import { checkConsulAccess } from './consul-access.ts'
import { serviceReference } from './kubernetes-name.ts'
import { type Located, nodeAt, type Say } from './located.ts'
import { entriesAt, scalarAt, textAt } from './look.ts'
import { checkRegistryAccess } from './registry-access.ts'

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
  const kubernetes = nodeAt(root, ['discovery', 'kubernetes'])
  if (consul?.kind === 'map') checkConsulAccess(consul, say)
  if (kubernetes?.kind === 'map') crossCheckKubernetes(kubernetes, say)
  if (consul === null || kubernetes === null) return
  const looksUp = (registry: Located) => scalarAt(registry, ['onDemand'])?.value !== false
  if (looksUp(consul) && looksUp(kubernetes))
    say(
      kubernetes.at,
      'consul and kubernetes would both be asked for services that no file names: write onDemand: false for one of them',
    )
}

function crossCheckKubernetes(kubernetes: Located, say: Say): void {
  checkRegistryAccess(kubernetes, { isSecure: true, secure: 'https://host:6443' }, say)
  const domain = textAt(kubernetes, ['clusterDomain'])?.value ?? 'cluster.local'
  for (const [service, settings] of entriesAt(kubernetes, ['services'])) {
    if (nodeAt(settings, ['name']) !== null || serviceReference(service, domain) !== null) continue
    say(settings.at, `${service} is no name of a Service: write name: with that of the Service`)
  }
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
