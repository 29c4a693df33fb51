import { formatAddress, isLoopback } from './address.ts'
import type { Compiled } from './compile.ts'
import { destinationsOf } from './destinations.ts'
import { change, removal, suggested } from './fix.ts'
import { lintHealth } from './lint-health.ts'
import { lintRoutes } from './lint-routes.ts'
import { lintService } from './lint-service.ts'
import { lintTcp } from './lint-tcp.ts'
import { isAt, type Located, nodeAt, type Path, type Problem, positionAt, problem, type Warn } from './located.ts'
import { withoutEffect } from './not-yet.ts'
import { formatSize } from './size.ts'
import type { AddressSpec, DiscoverySpec, ListenerSpec, Snapshot } from './snapshot.ts'

/**
 * Warns of settings that are allowed and do not have the intended effect: arithmetic over several values, with the
 * numbers and a way out.
 */
export function lint({ bootstrap, discovery, snapshot }: Compiled, root: Located): Problem[] {
  const warnings: Problem[] = []
  const warn: Warn = (path, message, fix) => {
    const found = problem(positionAt(root, path), message)
    warnings.push(fix === undefined ? found : { ...found, fix })
  }
  if (bootstrap.admin !== null && !isLoopback(bootstrap.admin.address)) {
    warn(
      ['admin'],
      `every machine that reaches ${formatAddress(bootstrap.admin)} can read the config and drain this sidecar: ${guard('admin', bootstrap.admin)} (for scrapes from elsewhere there is metrics:)`,
      suggested(change(['admin'], `127.0.0.1:${bootstrap.admin.port}`)),
    )
  }
  for (const direction of ['inbound', 'outbound'] as const) {
    const listeners = snapshot.listeners.filter(listener => listener.direction === direction)
    for (const [index, listener] of listeners.entries())
      lintListener(listener, snapshot.service, [direction, index], warn)
  }
  for (const service of Object.values(snapshot.services)) {
    if (service.kind !== 'named') continue
    const home =
      nodeAt(root, ['services', service.name]) === null
        ? ['discovery', 'endpoints', service.name]
        : ['services', service.name]
    if (service.endpoints.length > 0) lintReach(service.name, home, snapshot, warn)
    const once = saidOnce(warn)
    lintService(service, { discovered: isDiscovered(service.name, discovery), zone: snapshot.zone }, home, once)
    lintRoutes(service, once)
    lintTcp(service, root, home, once)
    lintHealth(service, root, home, once)
  }
  lintState(bootstrap.state, discovery, root, warn)
  lintDns(discovery, warn)
  lintWithoutEffect(root, [], warn)
  return warnings
}

function isDiscovered(name: string, { files, dns, consul, kubernetes }: DiscoverySpec): boolean {
  return [...files, ...dns, ...(consul?.services ?? []), ...(kubernetes?.services ?? [])].some(
    ({ service }) => service === name,
  )
}

/** Warns where there is no state folder, unless `state: off` asks for that. */
function lintState(
  state: string | null,
  { files, dns, consul, kubernetes }: DiscoverySpec,
  root: Located,
  warn: Warn,
): void {
  const isDiscovering = files.length + dns.length > 0 || consul !== null || kubernetes !== null
  if (state !== null || !isDiscovering || nodeAt(root, ['state']) !== null) return
  warn(
    ['discovery'],
    'this user has no home folder, so last-known endpoints are not kept for a start without the registry: write state: /a/folder, set XDG_STATE_HOME, or write state: off',
  )
}

/** Consul's own DNS puts three of thirty instances into an answer over UDP, and does not mention the others. */
function lintDns({ dns }: DiscoverySpec, warn: Warn): void {
  for (const { service, name } of dns)
    if (/\.consul\.?$/.test(name))
      warn(
        ['discovery', 'dns', service],
        `the DNS of Consul leaves instances out of its answers: write discovery: { consul: { services: { ${service}: {} } } }`,
      )
}

/** Reports a problem that a service and its routes share once, for the service. */
function saidOnce(warn: Warn): Warn {
  const said = new Set<string>()
  return (path, message, fix) => {
    if (!said.has(message)) warn(path, message, fix)
    said.add(message)
  }
}

function guard(key: string, { port }: AddressSpec): string {
  return `write ${key}: 127.0.0.1:${port}, or protect it by a firewall`
}

function lintListener(
  { direction, listen, timeouts, limits }: ListenerSpec,
  service: string,
  path: Path,
  warn: Warn,
): void {
  const isOpen = !isLoopback(listen.address)
  if (direction === 'outbound' && isOpen) {
    warn(
      [...path, 'listen'],
      `every machine that reaches ${formatAddress(listen)} can make calls as ${service}: ${guard('listen', listen)}`,
      suggested(change([...path, 'listen'], `127.0.0.1:${listen.port}`)),
    )
  }
  if (isOpen && timeouts.headMs === 0)
    warn(
      [...path, 'timeouts', 'head'],
      'without it a few slow clients can hold all connections: write head: 10s',
      change([...path, 'timeouts', 'head'], '10s'),
    )
  if (isOpen && timeouts.idleMs === 0)
    warn(
      [...path, 'timeouts', 'idle'],
      'without it idle connections stay open for ever: write idle: 5m',
      change([...path, 'timeouts', 'idle'], '5m'),
    )
  if (limits.targetBytes >= limits.headBytes) {
    const head = formatSize(limits.headBytes)
    warn(
      [...path, 'limits'],
      `a target of ${formatSize(limits.targetBytes)} never fits into a head of ${head}: lower targetBytes or raise headBytes`,
    )
  }
}

/** Warns of a service that no outbound listener leads to. */
function lintReach(name: string, home: Path, { listeners, services }: Snapshot, warn: Warn): void {
  const outbound = listeners.filter(({ direction }) => direction === 'outbound')
  const { protocol } = services[name]!
  const isShared = (listener: ListenerSpec) =>
    listener.service === null && (protocol !== 'tcp' || listener.protocol === 'detect')
  if (outbound.some(listener => isShared(listener) || listener.service === name)) return
  const isTarget = Object.values(services).some(
    service => service.name !== name && destinationsOf(service).includes(name),
  )
  if (isTarget) return
  const shared =
    protocol === 'tcp'
      ? 'because a port for all services cannot tell which service a TCP connection is for'
      : 'or one without "service:", which serves every name by Host'
  warn(home, `no outbound listener leads to ${name}: add one with service: ${name}, ${shared}`)
}

function lintWithoutEffect(node: Located, path: Path, warn: Warn): void {
  for (const entry of withoutEffect)
    if (isAt(entry.at, path)) warn(path, `${entry.what} has no effect in this version: ${entry.instead}`, removal(path))
  if (node.kind === 'list')
    for (const [index, item] of node.items.entries()) lintWithoutEffect(item, [...path, index], warn)
  if (node.kind === 'map') for (const [key, entry] of node.entries) lintWithoutEffect(entry.node, [...path, key], warn)
}
