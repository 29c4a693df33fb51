import { isIP } from 'node:net'
import { type Cidr, cidrOf, contains, formatCidr, mergeCidrs } from '../mesh-config/cidr.ts'
import { type InterceptDocument, intercept } from '../mesh-config/intercept.ts'
import { type InterceptFile, usualVirtual } from '../mesh-config/load-intercept.ts'
import { formatPorts, mergePorts, type PortRange, portsOf } from '../mesh-config/port-range.ts'
import { usualPorts } from '../mesh-config/usual-ports.ts'
import { type Options, withOptions } from './options.ts'
import { chooseTargets, type Targets } from './targets.ts'

/** What is to be redirected, checked and in the terms of rules. */
export interface Plan extends Targets {
  readonly user: number
  readonly group: number
  readonly skip: {
    readonly users: readonly number[]
    readonly groups: readonly number[]
    readonly interfaces: readonly string[]
  }
  readonly outboundSkip: { readonly ports: readonly PortRange[]; readonly cidrs: readonly Cidr[] }
  readonly outboundOnly: { readonly ports: readonly PortRange[]; readonly cidrs: readonly Cidr[] }
  readonly inboundSkip: { readonly ports: readonly PortRange[]; readonly cidrs: readonly Cidr[] }
  readonly inboundOnly: { readonly ports: readonly PortRange[] }
  /** The ports of the sidecar, which are never redirected inbound. */
  readonly own: readonly PortRange[]
  /** The addresses that exist in the sidecar alone, whatever `outboundOnly` says. */
  readonly virtual: readonly Cidr[]
  readonly dnsServers: 'all' | readonly Cidr[]
}

export type Planned =
  | { readonly ok: true; readonly plan: Plan; readonly notes: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[] }

/** The admin port of the defaults and the ports that this project uses by custom, when no file says which they are. */
const USUAL: readonly number[] = [15_000, ...Object.values(usualPorts)]

export function makePlan(options: Options, file: InterceptFile | null, resolvConf: string | null): Planned {
  const chosen = chooseTargets(options, file)
  const { settings, errors: wrong } = withOptions(file?.settings ?? intercept.parse({}), options)
  const plan = planOf(settings, chosen.targets, file, resolvConf)
  const errors = [...chosen.errors, ...wrong]
  if (errors.length === 0) errors.push(...idle(options, chosen.targets), ...contradictions(settings, plan, file))
  if (errors.length > 0) return { ok: false, errors }
  const notes = [...chosen.notes]
  if (plan.dns !== null && settings.dnsServers === 'resolv.conf' && nameServers(resolvConf).length === 0)
    notes.push(
      '/etc/resolv.conf names no server: DNS queries to 127.0.0.1 and ::1 are redirected, where resolvers ask then',
    )
  const servers = plan.dnsServers === 'all' ? [] : plan.dnsServers
  for (const { family } of servers.filter(each => plan.dns?.families.includes(each.family) === false).slice(0, 1))
    notes.push(
      `IPv${family}: queries to name servers are not redirected, because dns.listen takes IPv${family === 4 ? 6 : 4} alone`,
    )
  return { ok: true, plan, notes }
}

function planOf(
  { user, group, exclude, outbound, inbound, dnsServers }: InterceptDocument,
  targets: Targets,
  file: InterceptFile | null,
  resolvConf: string | null,
): Plan {
  const ports = (list: readonly (string | number)[]) => mergePorts(list.map(portsOf))
  const cidrs = (list: readonly string[]) => mergeCidrs(list.map(cidrOf))
  const targetPorts = Object.values(targets).flatMap(target => target?.port ?? [])
  const own = file === null ? [...USUAL, ...targetPorts] : file.own.map(({ port }) => port).filter(port => port > 0)
  const servers = dnsServers === 'resolv.conf' ? nameServers(resolvConf) : dnsServers
  return {
    ...targets,
    user,
    group,
    skip: { users: unique(exclude.users), groups: unique(exclude.groups), interfaces: unique(exclude.interfaces) },
    outboundSkip: { ports: ports(outbound.skipPorts), cidrs: cidrs(outbound.skipCidrs) },
    outboundOnly: { ports: ports(outbound.onlyPorts), cidrs: cidrs(outbound.onlyCidrs) },
    inboundSkip: { ports: ports(inbound.skipPorts), cidrs: cidrs(inbound.skipCidrs) },
    inboundOnly: { ports: ports(inbound.onlyPorts) },
    own: mergePorts(own.map(portsOf)),
    virtual: cidrs(file?.virtual ?? Object.values(usualVirtual)),
    dnsServers: servers === 'all' ? 'all' : cidrs(servers.length === 0 ? ['127.0.0.1', '::1'] : servers),
  }
}

function unique<Item extends string | number>(items: readonly Item[]): Item[] {
  return [...new Set(items)].sort((a, b) => (a < b ? -1 : 1))
}

/** Addresses with a zone (fe80::1%eth0) cannot be matched by rules, and are left out. */
function nameServers(resolvConf: string | null): string[] {
  const lines = (resolvConf ?? '').split('\n').flatMap(line => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
  return [...new Set(lines)].filter(address => isIP(address) !== 0 && !address.includes('%'))
}

/** Options about a direction in which nothing is redirected. */
function idle(options: Options, { outbound, inbound, dns }: Targets): string[] {
  const given = (pattern: RegExp) =>
    Object.keys(options).filter(name => pattern.test(name) && options[name] !== undefined)
  const say = (names: readonly string[], what: string, port: string) =>
    names.map(name => `--${name}: ${what} is redirected: give --${port}, or leave the option out`)
  return [
    ...(outbound === null ? say(given(/-outbound-(ports|cidrs)$/), 'nothing outbound', 'outbound-port') : []),
    ...(inbound === null ? say(given(/-inbound-(ports|cidrs)$/), 'nothing inbound', 'inbound-port') : []),
    ...(dns === null ? say(given(/^dns-servers$/), 'no DNS query', 'dns-port') : []),
  ]
}

/** What is asked for and excluded at once. Lists are compared as written, so errors name what the user wrote. */
function contradictions(settings: InterceptDocument, plan: Plan, file: InterceptFile | null): string[] {
  const { outbound, inbound } = settings
  const portsIn = (only: readonly (string | number)[], skip: readonly PortRange[]) =>
    only.map(portsOf).filter(range => skip.some(({ from, to }) => from <= range.from && range.to <= to))
  const both = (items: readonly string[], direction: string, what: string) =>
    items.map(
      item => `${item} is in only-${direction}-${what} and in skip-${direction}-${what}: remove it from one of them`,
    )
  const ownPorts = plan.inbound === null ? [] : portsIn(inbound.onlyPorts, plan.own)
  return [
    ...both(portsIn(outbound.onlyPorts, plan.outboundSkip.ports).map(formatPorts), 'outbound', 'ports'),
    ...both(portsIn(inbound.onlyPorts, plan.inboundSkip.ports).map(formatPorts), 'inbound', 'ports'),
    ...both(
      outbound.onlyCidrs
        .map(cidrOf)
        .filter(cidr => plan.outboundSkip.cidrs.some(skip => contains(skip, cidr)))
        .map(formatCidr),
      'outbound',
      'cidrs',
    ),
    ...ownPorts.map(range => {
      const what = file?.own.find(({ port }) => port >= range.from && port <= range.to)?.what ?? 'a port of the sidecar'
      return `port ${formatPorts(range)} is in only-inbound-ports and is ${what}, which is never redirected: remove it`
    }),
    ...(plan.dns !== null && outbound.skipPorts.some(port => String(port) === '53')
      ? ['port 53 is in skip-outbound-ports, and DNS queries are to be redirected: remove it, or write --dns-port off']
      : []),
  ]
}
