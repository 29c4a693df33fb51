import { type Located, nodeAt, type Say } from './located.ts'
import { entriesAt, itemsAt, scalarAt, textAt } from './look.ts'

/** Checks of listeners and routes against the services that speak TCP. */
export function crossCheckTcp(root: Located, say: Say): void {
  const policies = new Map(entriesAt(root, ['services']))
  const speaksTcp = (service: string): boolean => {
    const policy = policies.get(service)
    return policy !== undefined && textAt(policy, ['protocol'])?.value === 'tcp'
  }
  for (const item of itemsAt(root, ['outbound'])) {
    const protocol = textAt(item, ['protocol'])
    const service = textAt(item, ['service'])
    if (protocol?.value === 'tcp' && service === null && scalarAt(item, ['transparent'])?.value !== true)
      say(
        protocol.at,
        'a TCP connection does not name its service: add service:, or write protocol: detect, which goes by the server name of TLS',
      )
    if (protocol !== null && protocol.value !== 'tcp' && service !== null && speaksTcp(service.value))
      say(
        protocol.at,
        `${service.value} speaks TCP, so its listener is TCP too: remove this protocol: ${protocol.value}`,
      )
  }
  for (const item of itemsAt(root, ['inbound'])) {
    const protocol = textAt(item, ['protocol'])
    if (protocol !== null && protocol.value !== 'tcp' && textAt(item, ['application', 'protocol'])?.value === 'tcp')
      say(
        protocol.at,
        `the application speaks TCP, so its listener is TCP too: remove this protocol: ${protocol.value}`,
      )
  }
  for (const [name, policy] of policies) {
    for (const route of itemsAt(policy, ['routes'])) checkRoute(name, route, speaksTcp, say)
  }
}

function checkRoute(name: string, route: Located, speaksTcp: (service: string) => boolean, say: Say): void {
  const match = nodeAt(route, ['match'])
  const asks = match?.kind === 'map' && match.entries.size !== 0
  if (asks && speaksTcp(name)) say(match.at, `${name} speaks TCP, which has no paths, methods or headers: remove match`)
  for (const destination of itemsAt(route, ['to'])) {
    const other = textAt(destination, ['service'])
    if (other === null || speaksTcp(other.value) === speaksTcp(name)) continue
    const [tcp, http] = speaksTcp(name) ? [name, other.value] : [other.value, name]
    say(
      other.at,
      `${tcp} speaks TCP and ${http} speaks HTTP, so one cannot stand in for the other: remove this destination`,
    )
  }
}
