import type { AgentStatus, PolicyStatus, ProxyStatus } from '../agent/stats/status.ts'
import { printable } from '../proxy/core/printable.ts'
import type { Colours } from './colours.ts'
import { type Cell, count, cut, span, table } from './table.ts'

export interface StatusLook {
  readonly width: number
  /** Also policies that are as they should be. */
  readonly all: boolean
  readonly colours: Colours
}

export interface Troubles {
  readonly agents: number
  readonly proxies: number
  readonly policies: number
  /** Policies that a proxy has refused. */
  readonly refused: number
  /** Policies that a proxy has not taken for longer than it takes. */
  readonly stale: number
  readonly disconnected: number
  readonly refusedDocuments: number
  readonly sourcesInTrouble: number
  readonly agentsInTrouble: number
  readonly isGood: boolean
}

/** A policy on its way is not stale: proxies take it within a second. */
const ON_THE_WAY_MS = 5_000

export function troublesOf(agents: readonly AgentStatus[]): Troubles {
  const proxies = agents.flatMap(agent => agent.proxies)
  const policies = proxies.flatMap(proxy => proxy.policies)
  const refused = policies.filter(({ reasons }) => reasons.length > 0).length
  const stale = policies.filter(isStale).length
  const disconnected = proxies.filter(({ connected }) => !connected).length
  const refusedDocuments = new Set(agents.flatMap(agent => agent.refused.map(({ at }) => at))).size
  const sourcesInTrouble = agents.flatMap(agent => agent.sources.filter(({ trouble }) => trouble !== '')).length
  const agentsInTrouble = agents.filter(({ trouble }) => trouble !== '').length
  return {
    agents: agents.length,
    proxies: proxies.length,
    policies: policies.length,
    refused,
    stale,
    disconnected,
    refusedDocuments,
    sourcesInTrouble,
    agentsInTrouble,
    isGood: refused + stale + refusedDocuments + sourcesInTrouble + agentsInTrouble === 0,
  }
}

function isStale({ reasons, staleMs }: PolicyStatus): boolean {
  return reasons.length === 0 && staleMs > ON_THE_WAY_MS
}

/** What `outrigger status` prints, line by line; none is wider than the terminal. */
export function statusLines(agents: readonly AgentStatus[], look: StatusLook): string[] {
  const { width, colours } = look
  const known = [...agents].sort((a, b) => compare(a.host, b.host) || compare(a.address, b.address))
  return [
    ...section('agents', agentRows(known, colours), look),
    ...section('sources', sourceRows(known, colours), look),
    ...refusedLines(known, look),
    ...proxyLines(known, look),
    summaryLine(troublesOf(agents), colours),
  ].map(line => cut(line, width))
}

type Rows = readonly (readonly (Cell | string)[])[]

function section(title: string, rows: Rows, { width, colours }: StatusLook): string[] {
  if (rows.length === 0) return []
  return [colours.bold(title), ...table(rows, width - 2).map(line => `  ${line}`), '']
}

function agentRows(agents: readonly AgentStatus[], { green, red, dim }: Colours): Rows {
  return agents.map(({ host, version, address, upMs, trouble, leader, proxies, exporting, ageMs }) => [
    trouble === '' ? { text: 'ok', paint: green } : { text: 'fail', paint: red },
    host,
    version,
    count(proxies.length, 'proxy', 'proxies'),
    trouble === '' ? `up ${span(upMs)}` : ageMs === 0 ? 'never seen' : `seen ${span(ageMs)} ago`,
    leader && agents.length > 1 ? 'leader' : '',
    trouble === ''
      ? { text: [address, ...exporting].filter(text => text !== '').join(', '), paint: dim }
      : { text: `${address}: ${trouble}`, paint: red },
  ])
}

/** Several agents that have the same trouble with the same source are one row. */
function sourceRows(agents: readonly AgentStatus[], { green, red, dim }: Colours): Rows {
  const groups = new Map<string, { name: string; trouble: string; hosts: string[]; documents: number; ageMs: number }>()
  for (const { host, sources, ageMs: silent } of agents)
    for (const { name, trouble, documents, ageMs } of sources) {
      if (silent > 0) continue
      const key = `${name}\n${trouble}`
      const known = groups.get(key)
      if (known === undefined) groups.set(key, { name, trouble, hosts: [host], documents, ageMs })
      else {
        known.hosts.push(host)
        known.ageMs = Math.max(known.ageMs, ageMs)
        known.documents = Math.max(known.documents, documents)
      }
    }
  return [...groups.values()].map(({ name, trouble, hosts, documents, ageMs }) => [
    trouble === '' ? { text: 'ok', paint: green } : { text: 'fail', paint: red },
    name,
    count(documents, 'document'),
    trouble === ''
      ? ''
      : { text: `last answer ${ageMs === 0 ? 'never' : `${span(ageMs)} ago`}: ${trouble}`, paint: red },
    agents.length === 1 ? '' : { text: `at ${hosts.join(', ')}`, paint: dim },
  ])
}

const MAX_ERRORS = 3

function refusedLines(agents: readonly AgentStatus[], { colours }: StatusLook): string[] {
  const documents = new Map(agents.flatMap(({ refused }) => refused.map(each => [each.at, each] as const)))
  if (documents.size === 0) return []
  const lines = [...documents.values()].flatMap(({ at, errors }) => [
    `  ${colours.red('refused')} ${printable(at)}`,
    ...errors.slice(0, MAX_ERRORS).map(error => `    ${printable(error)}`),
    ...(errors.length > MAX_ERRORS ? [`    and ${errors.length - MAX_ERRORS} more`] : []),
  ])
  return [colours.bold('refused documents, the versions before stay in force'), ...lines, '']
}

function proxyLines(agents: readonly AgentStatus[], look: StatusLook): string[] {
  const { colours, width } = look
  const proxies = agents.flatMap(agent => agent.proxies.map(proxy => ({ proxy, agent })))
  if (proxies.length === 0) return [colours.dim('no proxy has said anything to these agents'), '']
  proxies.sort((a, b) => compare(a.proxy.service, b.proxy.service) || compare(a.proxy.proxy, b.proxy.proxy))
  const rows = proxies.map(({ proxy, agent }) => proxyRow(proxy, agent, colours))
  const heads = table(rows, width - 2)
  const lines = proxies.flatMap(({ proxy }, index) => [
    `  ${heads[index]}`,
    ...policyRows(proxy, look).map(line => `       ${line}`),
  ])
  return [colours.bold('proxies'), ...lines, '']
}

function proxyRow(proxy: ProxyStatus, agent: AgentStatus, { green, red, yellow, dim }: Colours): (Cell | string)[] {
  const { connected, silentMs, policies } = proxy
  const refused = policies.filter(({ reasons }) => reasons.length > 0).length
  const stale = policies.filter(isStale).length
  const state = agent.ageMs > 0 ? 'old' : !connected ? 'gone' : refused > 0 ? 'NACK' : stale > 0 ? 'stale' : 'ok'
  const paint = state === 'ok' ? green : state === 'NACK' ? red : yellow
  const words = [
    count(policies.length, 'policy', 'policies'),
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...(stale > 0 ? [`${stale} stale`] : []),
    ...(connected ? [] : [`silent ${span(silentMs)}`]),
  ]
  return [
    { text: state, paint },
    proxy.proxy,
    proxy.host,
    words.join(', '),
    { text: `pid ${proxy.pid} ${proxy.version}${proxy.admin === '' ? '' : ` ${proxy.admin}`}`, paint: dim },
  ]
}

function policyRows({ policies }: ProxyStatus, { all, width, colours }: StatusLook): string[] {
  const { red, yellow, dim } = colours
  const shown = policies.filter(policy => all || policy.reasons.length > 0 || isStale(policy) || policy.rollout !== '')
  const rows = shown.map(policy => {
    const { service, wanted, has, reasons, staleMs, rollout } = policy
    const [reason = ''] = reasons
    const state =
      reason !== ''
        ? { text: `refuses ${short(wanted)}: ${reason}`, paint: red }
        : staleMs > 0
          ? { text: `wants ${short(wanted)} for ${span(staleMs)}`, paint: isStale(policy) ? yellow : dim }
          : { text: rollout === '' ? '' : `roll-out: ${rollout}`, paint: dim }
    return [service, `has ${short(has)}`, state]
  })
  return table(rows, width - 7)
}

function short(version: string): string {
  return version === '' ? 'none' : version.slice(0, 12)
}

function summaryLine(troubles: Troubles, { green, red }: Colours): string {
  const { agents, proxies, policies, isGood } = troubles
  const what = `${count(agents, 'agent')}, ${count(proxies, 'proxy', 'proxies')}, ${count(policies, 'policy', 'policies')}`
  if (isGood) return `${green('good')}  ${what}${troubles.disconnected === 0 ? '' : `, ${troubles.disconnected} gone`}`
  const words = [
    [troubles.refused, 'refused policy', 'refused policies'],
    [troubles.stale, 'stale policy', 'stale policies'],
    [troubles.refusedDocuments, 'refused document', 'refused documents'],
    [troubles.sourcesInTrouble, 'source in trouble', 'sources in trouble'],
    [troubles.agentsInTrouble, 'agent in trouble', 'agents in trouble'],
  ] as const
  const wrong = words.filter(([number]) => number > 0).map(([number, one, many]) => count(number, one, many))
  return `${red('not good')}  ${what}: ${wrong.join(', ')}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
