import { type Cidr, cidrOf, formatCidr } from '../mesh-config/cidr.ts'
import { formatPorts, type PortRange } from '../mesh-config/port-range.ts'
import type { Plan } from './plan.ts'
import type { Chain, Family, Match, Rule } from './rule.ts'

/** The rules of a plan for one address family. Each chain says in its order why a connection is redirected or not. */

const LINK_LOCAL = cidrOf('fe80::/10')

const past = { kind: 'return' } as const

/** Empty: nothing is redirected in this family. */
export function rulesOf(plan: Plan, family: Family): Chain[] {
  const outbound = plan.outbound?.families.includes(family) === true ? plan.outbound.port : null
  const inbound = plan.inbound?.families.includes(family) === true ? plan.inbound.port : null
  const dns = plan.dns?.families.includes(family) === true ? plan.dns.port : null
  return [
    { name: 'inbound' as const, rules: inbound === null ? [] : inboundRules(plan, family, inbound) },
    { name: 'dns' as const, rules: dns === null ? [] : dnsZoneRules(plan, family, dns) },
    { name: 'output' as const, rules: outputRules(plan, family, outbound, dns) },
  ].filter(({ rules }) => rules.length > 0)
}

function outputRules(plan: Plan, family: Family, outbound: number | null, dns: number | null): Rule[] {
  if (outbound === null && dns === null) return []
  return [
    ...exempt(plan),
    ...interfaces(plan, 'outputs'),
    ...(dns === null ? [] : dnsRules(plan, family, dns)),
    ...(outbound === null ? [] : outboundRules(plan, family, outbound)),
  ]
}

/** Whose connections are never redirected. */
function exempt({ user, group, skip }: Plan): Rule[] {
  return [
    { match: { users: [user] }, verdict: past, label: `the sidecar itself: user ${user}` },
    { match: { groups: [group] }, verdict: past, label: `the sidecar itself: group ${group}` },
    ...listed(skip.users, users => ({ match: { users }, verdict: past, label: list('users', users) })),
    ...listed(skip.groups, groups => ({ match: { groups }, verdict: past, label: list('groups', groups) })),
  ]
}

function interfaces({ skip }: Plan, side: 'inputs' | 'outputs'): Rule[] {
  return listed(skip.interfaces, names => ({
    match: { [side]: names },
    verdict: past,
    label: list('interfaces', names),
  }))
}

/** Before loopback, where local name servers listen (127.0.0.53, 127.0.0.11). */
function dnsRules(plan: Plan, family: Family, port: number): Rule[] {
  const servers = dnsServers(plan, family)
  if (servers === null) return []
  const where = plan.dnsServers === 'all' ? 'any name server' : list('name servers', servers.to!.map(formatCidr))
  return (['udp', 'tcp'] as const).map(protocol => ({
    match: { protocol, ...(protocol === 'tcp' ? { syn: true } : {}), ...servers, ports: [{ from: 53, to: 53 }] },
    verdict: { kind: 'redirect', port },
    label: `DNS over ${protocol.toUpperCase()}: ${where}`.slice(0, 100),
  }))
}

/** Null: it has no name server in this family. */
function dnsServers({ dnsServers: servers }: Plan, family: Family): Match | null {
  if (servers === 'all') return {}
  const to = of(servers, family)
  return to.length === 0 ? null : { to }
}

/**
 * Queries of applications, and the answers to them, are tracked apart from the sidecar's own queries. Otherwise a query
 * of the sidecar from a UDP port that an application used just before belongs to that one's flow, and is redirected.
 */
function dnsZoneRules(plan: Plan, family: Family, port: number): Rule[] {
  const servers = dnsServers(plan, family)
  if (servers === null) return []
  const verdict = { kind: 'zone', zone: port } as const
  return [
    {
      match: { users: [plan.user], protocol: 'udp', fromPort: port },
      verdict,
      label: 'answers of the sidecar: a conntrack zone of their own',
    },
    ...exempt(plan),
    ...interfaces(plan, 'outputs'),
    {
      match: { protocol: 'udp', ...servers, ports: [{ from: 53, to: 53 }] },
      verdict,
      label: 'queries to the sidecar: a conntrack zone of their own',
    },
  ]
}

function outboundRules({ outboundSkip, outboundOnly, virtual }: Plan, family: Family, port: number): Rule[] {
  const redirect = { kind: 'redirect', port } as const
  const first: Match = { protocol: 'tcp', syn: true }
  const only = of(outboundOnly.cidrs, family)
  const narrowed: Match = {
    ...first,
    ...(outboundOnly.ports.length > 0 ? { ports: outboundOnly.ports } : {}),
    ...(only.length > 0 ? { to: only } : {}),
  }
  const what = [
    ...(outboundOnly.ports.length > 0 ? [list('ports', outboundOnly.ports.map(formatPorts))] : []),
    ...(only.length > 0 ? [list('addresses', only.map(formatCidr))] : []),
  ]
  return [
    ...listed(of(virtual, family), to => ({
      match: { ...first, to },
      verdict: redirect,
      label: list('virtual addresses', to.map(formatCidr)),
    })),
    { match: { outputs: ['lo'] }, verdict: past, label: 'loopback, and this machine by its own address' },
    ...(family === 6 ? [{ match: { to: [LINK_LOCAL] }, verdict: past, label: 'link-local addresses' }] : []),
    ...listed(of(outboundSkip.cidrs, family), to => ({
      match: { to },
      verdict: past,
      label: list('addresses', to.map(formatCidr)),
    })),
    ...listed(outboundSkip.ports, ports => ({
      match: { protocol: 'tcp', ports },
      verdict: past,
      label: list('ports', ports.map(formatPorts)),
    })),
    // Only addresses of the other family are listed: nothing of this one is redirected.
    ...(outboundOnly.cidrs.length > 0 && only.length === 0
      ? []
      : [
          {
            match: narrowed,
            verdict: redirect,
            label:
              what.length === 0
                ? 'every other TCP connection'
                : `TCP connections to ${what.join(' and ')}`.slice(0, 100),
          },
        ]),
  ]
}

function inboundRules(plan: Plan, family: Family, port: number): Rule[] {
  const { own, inboundSkip, inboundOnly } = plan
  const only = inboundOnly.ports
  return [
    { match: { inputs: ['lo'] }, verdict: past, label: 'loopback' },
    // What a router or a host of containers passes on is for others.
    { match: { foreign: true }, verdict: past, label: 'connections for other machines' },
    ...interfaces(plan, 'inputs'),
    ...listed(own, ports => ({
      match: tcp(ports),
      verdict: past,
      label: list('ports of the sidecar:', ports.map(formatPorts)),
    })),
    ...listed(inboundSkip.ports, ports => ({
      match: tcp(ports),
      verdict: past,
      label: list('ports', ports.map(formatPorts)),
    })),
    ...listed(of(inboundSkip.cidrs, family), from => ({
      match: { from },
      verdict: past,
      label: list('callers', from.map(formatCidr)),
    })),
    {
      match: { protocol: 'tcp', syn: true, ...(only.length > 0 ? { ports: only } : {}) },
      verdict: { kind: 'redirect', port },
      label: only.length > 0 ? list('ports', only.map(formatPorts)) : 'every other TCP connection',
    },
  ]
}

function tcp(ports: readonly PortRange[]): Match {
  return { protocol: 'tcp', ports }
}

function of(cidrs: readonly Cidr[], family: Family): readonly Cidr[] {
  return cidrs.filter(cidr => cidr.family === family)
}

/** No rule for an empty list, which would match everything. */
function listed<Item>(items: readonly Item[], rule: (items: readonly Item[]) => Rule): Rule[] {
  return items.length === 0 ? [] : [rule(items)]
}

const one: Readonly<Record<string, string>> = {
  ports: 'port',
  users: 'user',
  groups: 'group',
  interfaces: 'interface',
  'name servers': 'name server',
}

/** What does not fit is left out behind a number. */
function list(what: string, items: readonly (string | number)[]): string {
  let text = items.length === 1 ? (one[what] ?? what) : what
  for (const [index, item] of items.entries()) {
    const next = `${text}${index === 0 ? ' ' : ', '}${item}`
    if (next.length > 84) return `${text} and ${items.length - index} more`
    text = next
  }
  return text
}
