import { createHash } from 'node:crypto'
import { type Cidr, formatCidr } from '../mesh-config/cidr.ts'
import { formatPorts } from '../mesh-config/port-range.ts'
import {
  type Chain,
  type ChainName,
  type Family,
  MARK,
  type Match,
  type SeenRule,
  type Verdict,
  verdictText,
} from './rule.ts'

/** Rules as nft reads and lists them: a table of our own in each family, so nothing else is touched. */

export const TABLE = 'outrigger'

/**
 * Before iptables (-100) and its users: of all NAT rules for a connection the first one counts, so kube-proxy and
 * docker do not translate what is redirected here.
 */
const hooks: Readonly<Record<ChainName, string>> = {
  output: 'type nat hook output priority -110',
  inbound: 'type nat hook prerouting priority -110',
  // Before connection tracking (-200).
  dns: 'type filter hook output priority -300',
}

export function tableName(family: Family): string {
  return `${family === 4 ? 'ip' : 'ip6'} ${TABLE}`
}

/** The rules of one family, as they are set and as they are seen afterwards. */
export interface Wanted {
  readonly family: Family
  readonly text: string
  readonly rules: readonly Omit<SeenRule, 'packets'>[]
}

/** Null: no rules. */
export function nftTable(family: Family, chains: readonly Chain[]): Wanted | null {
  if (chains.length === 0) return null
  const body = chains.map(chain => chainText(family, chain))
  const hash = hashOf(body)
  const joints = chains.map(
    ({ name }) =>
      `  chain hook_${name} {\n    ${hooks[name]}; policy accept;\n    counter jump ${name} comment "${MARK} ${hash}"\n  }\n`,
  )
  const rules = [
    ...chains.flatMap(({ name, rules }) =>
      rules.map(({ label, verdict }) => ({ chain: name, label, verdict: verdictText(verdict) })),
    ),
    ...chains.map(({ name }) => ({ chain: `hook_${name}`, label: `${MARK} ${hash}`, verdict: `jump ${name}` })),
  ]
  return { family, text: `table ${tableName(family)} {\n${body.join('')}${joints.join('')}}\n`, rules }
}

/** Changes when any rule does, or the way to write it. */
export function hashOf(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('')).digest('hex').slice(0, 12)
}

/** One transaction: what is there goes and what is wanted comes at once, or nothing happens. */
export function nftScript(wanted: readonly Wanted[], removed: readonly Family[]): string {
  // `delete` alone fails where there is no table.
  const gone = removed.map(family => `add table ${tableName(family)}\ndelete table ${tableName(family)}\n`)
  return [...gone, ...wanted.map(({ text }) => text)].join('')
}

function chainText(family: Family, { name, rules }: Chain): string {
  const lines = rules.map(({ match, verdict, label }) => {
    const words = [...matchWords(family, match), 'counter', ...verdictWords(verdict), `comment "${label}"`]
    return `    ${words.join(' ')}\n`
  })
  return `  chain ${name} {\n${lines.join('')}  }\n`
}

function matchWords(family: Family, match: Match): string[] {
  const address = family === 4 ? 'ip' : 'ip6'
  const cidrs = (list: readonly Cidr[]) => set(list.map(formatCidr))
  const words: (string | false)[] = [
    match.users !== undefined && `meta skuid ${set(match.users)}`,
    match.groups !== undefined && `meta skgid ${set(match.groups)}`,
    match.inputs !== undefined && `iifname ${set(match.inputs.map(quoted))}`,
    match.outputs !== undefined && `oifname ${set(match.outputs.map(quoted))}`,
    match.foreign === true && 'fib daddr type != local',
    match.to !== undefined && `${address} daddr ${cidrs(match.to)}`,
    match.from !== undefined && `${address} saddr ${cidrs(match.from)}`,
    match.protocol !== undefined && match.ports === undefined && match.fromPort === undefined
      ? `meta l4proto ${match.protocol}`
      : false,
    match.ports !== undefined && `${match.protocol} dport ${set(match.ports.map(formatPorts))}`,
    match.fromPort !== undefined && `${match.protocol} sport ${match.fromPort}`,
    match.syn === true && 'tcp flags & (fin|syn|rst|ack) == syn',
  ]
  return words.filter(word => word !== false)
}

function set(items: readonly (string | number)[]): string {
  return items.length === 1 ? String(items[0]) : `{ ${items.join(', ')} }`
}

function quoted(name: string): string {
  return `"${name}"`
}

function verdictWords(verdict: Verdict): string[] {
  if (verdict.kind === 'redirect') return [`redirect to :${verdict.port}`]
  return [verdict.kind === 'zone' ? `ct zone set ${verdict.zone}` : 'return']
}

/** Reads what `nft list table` prints. What somebody else added is seen too, with an empty label. */
export function readNftTable(listing: string): SeenRule[] {
  const seen: SeenRule[] = []
  let chain = ''
  for (const line of listing.split('\n').map(each => each.trim())) {
    const begins = /^chain (\S+) \{$/.exec(line)
    if (begins !== null) chain = begins[1]!
    else if (chain !== '' && line !== '' && line !== '}' && !/^type \w+ hook /.test(line)) {
      const label = /comment "([^"]*)"$/.exec(line)?.[1] ?? ''
      const packets = Number(/counter packets (\d+)/.exec(line)?.[1] ?? 0)
      const verdict = /(?:redirect to :(\d+)|ct (zone) set (\d+)|(jump) (\S+)|(return))(?: comment "[^"]*")?$/.exec(
        line,
      )
      const words =
        verdict === null
          ? line
          : verdict
              .slice(1)
              .filter(each => each !== undefined)
              .join(' ')
      seen.push({ chain, label, verdict: words, packets })
    }
  }
  return seen
}
