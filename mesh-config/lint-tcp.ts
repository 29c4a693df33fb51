import { change, removal } from './fix.ts'
import { type Located, nodeAt, type Path, type Warn } from './located.ts'
import type { ServiceSpec } from './snapshot.ts'

/** Settings that apply to requests only. */
const ofRequests: readonly (readonly [at: Path, instead: string])[] = [
  [['timeouts', 'request'], 'a connection has no request to wait for: remove it'],
  [['timeouts', 'perTry'], 'a connection has no request to wait for: write connect: 1s'],
  [['timeouts', 'idle'], 'it is about requests and pooled connections: write tunnel instead'],
  [['limits', 'responseHeaders'], 'a connection has no response head: remove it'],
  [['limits', 'responseHeadBytes'], 'a connection has no response head: remove it'],
  [['retries', 'replayBytes'], 'a connection is tried elsewhere only before anything was sent: remove it'],
  [['rateLimits'], 'a connection has no requests to count: write limits: { connections: 100 }'],
  [['faults'], 'faults are of requests: remove it'],
  [['mirror'], 'only requests are copied: remove it'],
  [['balancer', 'sticky'], 'a connection has no cookies: write balancer: { type: ip_hash }'],
]

/** Warns of settings of a TCP service that apply to requests only. */
export function lintTcp(service: ServiceSpec, root: Located, path: Path, warn: Warn): void {
  if (service.protocol !== 'tcp') return
  const { name, retries, balancer } = service
  for (const [at, instead] of ofRequests)
    if (nodeAt(root, [...path, ...at]) !== null)
      warn([...path, ...at], `${name} speaks TCP, so this has no effect: ${instead}`, removal([...path, ...at]))
  const others = retries.on.filter(condition => condition !== 'connect-failure')
  if (others.length !== 0 && nodeAt(root, [...path, 'retries', 'on']) !== null)
    warn(
      [...path, 'retries', 'on'],
      `${name} speaks TCP, where only connect-failure happens, and not ${others.join(', ')}: write on: [connect-failure]`,
      change([...path, 'retries', 'on'], ['connect-failure']),
    )
  const key = balancer.hashOn.findIndex(({ kind }) => kind !== 'sourceIp')
  if (key >= 0)
    warn(
      [...path, 'balancer', 'hashOn', key],
      `${name} speaks TCP, where only the address of the caller can be hashed: write hashOn: [ { sourceIp: true } ]`,
      change([...path, 'balancer', 'hashOn'], [{ sourceIp: true }]),
    )
}
