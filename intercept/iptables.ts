import { formatCidr } from '../mesh-config/cidr.ts'
import type { PortRange } from '../mesh-config/port-range.ts'
import { hashOf, type Wanted } from './nft.ts'
import {
  type Chain,
  type ChainName,
  type Family,
  MARK,
  type Match,
  type Rule,
  type SeenRule,
  type Verdict,
  verdictText,
} from './rule.ts'

/**
 * Rules as iptables-restore reads and iptables-save prints them. Chains of our own, and one jump to each in front of
 * OUTPUT and PREROUTING. Each table is one transaction.
 */

const PREFIX = 'OUTRIGGER_'

type Table = 'nat' | 'raw'

const places: Readonly<Record<ChainName, { readonly table: Table; readonly hook: string }>> = {
  output: { table: 'nat', hook: 'OUTPUT' },
  inbound: { table: 'nat', hook: 'PREROUTING' },
  dns: { table: 'raw', hook: 'OUTPUT' },
}

function nameOf(chain: ChainName): string {
  return `${PREFIX}${chain.toUpperCase()}`
}

/** Null: no rules. `text` sets them where there are none. */
export function iptablesTables(family: Family, chains: readonly Chain[]): Wanted | null {
  if (chains.length === 0) return null
  const written = writtenChains(chains)
  const hash = hashOf(written.flatMap(({ lines }) => lines))
  const rules = [
    ...written.flatMap(({ name, rules }) =>
      rules.map(({ label, verdict }) => ({ chain: nameOf(name), label, verdict: verdictText(verdict) })),
    ),
    ...written.map(({ name }) => ({
      chain: places[name].hook,
      label: `${MARK} ${hash}`,
      verdict: `jump ${name}`,
    })),
  ]
  return { family, text: restoreText(written, hash, null), rules }
}

/** Replaces what `iptables-save` shows of ours. `chains` empty: removes it. */
export function iptablesScript(chains: readonly Chain[], saved: string): string {
  const written = writtenChains(chains)
  return restoreText(written, hashOf(written.flatMap(({ lines }) => lines)), saved)
}

interface Written {
  readonly name: ChainName
  readonly rules: readonly Rule[]
  readonly lines: readonly string[]
}

function writtenChains(chains: readonly Chain[]): Written[] {
  return chains.map(({ name, rules }) => {
    const all = rules.flatMap(expand)
    return { name, rules: all, lines: all.map(rule => `-A ${nameOf(name)} ${ruleWords(rule)}`) }
  })
}

function restoreText(written: readonly Written[], hash: string, saved: string | null): string {
  const before =
    saved === null ? { nat: NOTHING, raw: NOTHING } : { nat: oursIn(saved, 'nat'), raw: oursIn(saved, 'raw') }
  const text = (table: Table) =>
    tableText(
      table,
      written.filter(({ name }) => places[name].table === table),
      hash,
      before[table],
    )
  // A zone without a redirect does no harm: the zones come first and go last.
  const zones = written.some(({ name }) => places[name].table === 'raw')
  return (zones ? [text('raw'), text('nat')] : [text('nat'), text('raw')]).join('')
}

function tableText(table: Table, written: readonly Written[], hash: string, before: Ours): string {
  const names = written.map(({ name }) => nameOf(name))
  const left = before.chains.filter(chain => !names.includes(chain))
  if (names.length === 0 && left.length === 0 && before.jumps.length === 0) return ''
  const jumps = written.map(
    ({ name }) => `-I ${places[name].hook} 1 -m comment --comment "${MARK} ${hash}" -j ${nameOf(name)}`,
  )
  return [
    `*${table}`,
    // A declared chain is made, or emptied.
    ...[...names, ...left].map(name => `:${name} - [0:0]`),
    ...before.jumps.map(line => line.replace(/^-A/, '-D')),
    ...written.flatMap(({ lines }) => lines),
    ...jumps,
    ...left.map(name => `-X ${name}`),
    'COMMIT\n',
  ].join('\n')
}

interface Ours {
  readonly chains: readonly string[]
  /** As saved: `-A OUTPUT -m comment --comment "outrigger 0123" -j OUTRIGGER_OUTPUT`. */
  readonly jumps: readonly string[]
}

const NOTHING: Ours = { chains: [], jumps: [] }

function oursIn(saved: string, table: Table): Ours {
  const lines = tableLines(saved, table)
  return {
    chains: lines.flatMap(line => new RegExp(`^:(${PREFIX}\\S+) `).exec(line)?.[1] ?? []),
    jumps: lines.filter(line => new RegExp(`^-A (?!${PREFIX}).* -[jg] ${PREFIX}\\S+$`).test(line)),
  }
}

/** Without counters. */
function tableLines(saved: string, table: Table): string[] {
  const lines = saved.split('\n').map(line => line.trim())
  const from = lines.indexOf(`*${table}`)
  if (from === -1) return []
  return lines.slice(from, lines.indexOf('COMMIT', from)).map(line => line.replace(/^\[\d+:\d+\] /, ''))
}

/** Of our chains the rules, and of OUTPUT and PREROUTING the jumps to them. Null: there is nothing of ours. */
export function readIptables(
  saved: string,
): { readonly rules: readonly SeenRule[]; readonly behind: readonly string[] } | null {
  const rules: SeenRule[] = []
  const behind: string[] = []
  const ofHook = new Map<string, number>()
  let table = ''
  let any = false
  for (const line of saved.split('\n').map(each => each.trim())) {
    if (line.startsWith('*')) table = line.slice(1)
    if (line.startsWith(`:${PREFIX}`)) any = true
    const rule = /^(?:\[(\d+):\d+\] )?-A (\S+) (.*)$/.exec(line)
    if (rule === null) continue
    const [, packets = '0', chain = '', words = ''] = rule
    const place = `${table} ${chain}`
    const target = / ?-[jg] (.*)$/.exec(words)?.[1] ?? ''
    if (chain.startsWith(PREFIX) || target.startsWith(PREFIX)) {
      const label = /--comment (?:"([^"]*)"|(\S+))/.exec(words)
      rules.push({ chain, label: label?.[1] ?? label?.[2] ?? '', verdict: verdictOf(target), packets: Number(packets) })
      const others = ofHook.get(place) ?? 0
      if (!chain.startsWith(PREFIX) && others > 0)
        behind.push(
          `${others === 1 ? 'a rule' : `${others} rules`} of others before ours in ${chain} of the ${table} table`,
        )
      any = true
    }
    ofHook.set(place, (ofHook.get(place) ?? 0) + 1)
  }
  return any ? { rules, behind } : null
}

function verdictOf(target: string): string {
  const port = /^REDIRECT --to-ports (\d+)$/.exec(target)
  if (port !== null) return port[1]!
  const zone = /^CT --zone (\d+)$/.exec(target)
  if (zone !== null) return `zone ${zone[1]}`
  if (target.startsWith(PREFIX)) return `jump ${target.slice(PREFIX.length).toLowerCase()}`
  return target === 'RETURN' ? 'return' : target
}

/** iptables has no lists but of ports, fifteen at a time: a rule for each of the others. */
function expand(rule: Rule): Rule[] {
  const { match } = rule
  let matches: Match[] = [match]
  const each = <Key extends 'users' | 'groups' | 'inputs' | 'outputs' | 'to' | 'from'>(key: Key) => {
    const list = match[key] as readonly unknown[] | undefined
    if (list !== undefined) matches = matches.flatMap(one => list.map(item => ({ ...one, [key]: [item] }) as Match))
  }
  for (const key of ['users', 'groups', 'inputs', 'outputs', 'to', 'from'] as const) each(key)
  if (match.ports !== undefined)
    matches = matches.flatMap(one => chunksOf(match.ports!).map(ports => ({ ...one, ports })))
  return matches.map(one => ({ ...rule, match: one }))
}

const MOST_PORTS = 15

/** A range counts as two. */
function chunksOf(ranges: readonly PortRange[]): PortRange[][] {
  const chunks: PortRange[][] = []
  let room = 0
  for (const range of ranges) {
    const size = range.from === range.to ? 1 : 2
    if (size > room) {
      chunks.push([])
      room = MOST_PORTS
    }
    chunks.at(-1)!.push(range)
    room -= size
  }
  return chunks
}

function ruleWords({ match, verdict, label }: Rule): string {
  return [...matchWords(match), `-m comment --comment "${label}"`, `-j ${targetOf(verdict)}`].join(' ')
}

function matchWords(match: Match): string[] {
  const words: (string | false)[] = [
    match.from !== undefined && `-s ${formatCidr(match.from[0]!)}`,
    match.to !== undefined && `-d ${formatCidr(match.to[0]!)}`,
    match.inputs !== undefined && `-i ${match.inputs[0]}`,
    match.outputs !== undefined && `-o ${match.outputs[0]}`,
    match.protocol !== undefined && `-p ${match.protocol}`,
    match.ports !== undefined && portWords(match.ports),
    match.fromPort !== undefined && `--sport ${match.fromPort}`,
    match.syn === true && '--syn',
    match.users !== undefined && `-m owner --uid-owner ${match.users[0]}`,
    match.groups !== undefined && `-m owner --gid-owner ${match.groups[0]}`,
    match.foreign === true && '-m addrtype ! --dst-type LOCAL',
  ]
  return words.filter(word => word !== false)
}

function portWords(ranges: readonly PortRange[]): string {
  const texts = ranges.map(({ from, to }) => (from === to ? String(from) : `${from}:${to}`))
  return texts.length === 1 ? `--dport ${texts[0]}` : `-m multiport --dports ${texts.join(',')}`
}

function targetOf(verdict: Verdict): string {
  if (verdict.kind === 'redirect') return `REDIRECT --to-ports ${verdict.port}`
  return verdict.kind === 'zone' ? `CT --zone ${verdict.zone}` : 'RETURN'
}
