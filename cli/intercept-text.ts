import type { RuleSet } from '../intercept/backends.ts'
import type { Shown } from '../intercept/main.ts'
import { type Family, families, verdictText } from '../intercept/rule.ts'
import type { Colours } from './colours.ts'
import { type Cell, plain, table } from './table.ts'

/** Tables of rules for people: each rule once, in the order in which a connection meets them. */

export interface Look {
  readonly width: number
  readonly colours: Colours
}

interface Row {
  readonly chain: string
  readonly label: string
  readonly verdict: string
  /** By family; where a family is missing, it has no such rule. */
  readonly packets: Map<Family, number>
}

export function wantedLines(sets: readonly RuleSet[], look: Look): string[] {
  const rows = rowsOf(
    sets.flatMap(({ family, chains }) =>
      chains.flatMap(({ name, rules }) =>
        rules.map(({ label, verdict }) => ({ family, chain: name, label, verdict: verdictText(verdict), packets: 0 })),
      ),
    ),
  )
  return table(
    [
      heading(look, ['DIRECTION', 'CONNECTIONS', 'REDIRECTED', 'IP']),
      ...rows.map(row => [...cells(row, look), familiesOf(row)]),
    ],
    look.width,
    3,
  )
}

export function inForceLines({ inForce, differences }: Shown, look: Look): string[] {
  const { red, green } = look.colours
  if (inForce.length === 0) return [red('not in force: nothing is redirected')]
  const verdict =
    differences === null
      ? green('in force')
      : differences.length === 0
        ? green('in force, as asked')
        : red('in force, but not as asked:')
  const lines = [verdict, ...(differences ?? []).map(each => `  ${each}`)]
  for (const backend of new Set(inForce.map(each => each.backend))) {
    const rows = rowsOf(
      inForce
        .filter(each => each.backend === backend)
        .flatMap(({ family, seen }) => seen.rules.map(rule => ({ family, ...rule, chain: plainChain(rule.chain) })))
        .filter(({ chain }) => chain !== ''),
    )
    const count = (row: Row, family: Family): Cell => ({ text: String(row.packets.get(family) ?? '-'), right: true })
    lines.push('', `by ${backend}:`)
    lines.push(
      ...table(
        [
          heading(look, ['DIRECTION', 'CONNECTIONS', 'REDIRECTED', 'IPV4', 'IPV6']),
          ...rows.map(row => [...cells(row, look), count(row, 4), count(row, 6)]),
        ],
        look.width,
        3,
      ),
    )
  }
  return lines
}

function heading({ colours }: Look, words: readonly string[]): Cell[] {
  return words.map(text => ({ text, paint: colours.dim }))
}

function cells({ chain, label, verdict }: Row, { colours }: Look): Cell[] {
  const isPort = /^\d+$/.test(verdict)
  const words = isPort
    ? `to port ${verdict}`
    : verdict === 'return'
      ? 'no'
      : verdict.replace(/^zone (\d+)$/, '(conntrack zone $1)')
  return [
    { text: directions[chain] ?? chain },
    { text: label === '' ? '(a rule of somebody else)' : label },
    { text: words, paint: isPort ? colours.green : verdict === 'return' ? colours.yellow : plain },
  ]
}

const directions: Readonly<Record<string, string>> = {
  output: 'outbound',
  inbound: 'inbound',
  dns: 'DNS',
}

function familiesOf({ packets }: Row): string {
  return families
    .filter(family => packets.has(family))
    .map(family => `v${family}`)
    .join(' ')
}

/** Empty: it only joins ours to a hook. */
function plainChain(chain: string): string {
  return /^hook_|^(OUTPUT|PREROUTING)$/.test(chain) ? '' : chain.replace(/^OUTRIGGER_/, '').toLowerCase()
}

/**
 * Outbound first, then inbound. Rules of one label (a long list takes several) and of both families become one row;
 * what only IPv6 has stands behind the row before it.
 */
function rowsOf(
  rules: readonly { family: Family; chain: string; label: string; verdict: string; packets: number }[],
): Row[] {
  return directionOrder.flatMap(name => {
    const rows: Row[] = []
    let last = -1
    for (const { chain, label, verdict, packets, family } of rules) {
      if (chain !== name) continue
      let at = rows.findIndex(row => row.label === label && row.verdict === verdict)
      if (at === -1) {
        at = last + 1
        rows.splice(at, 0, { chain, label, verdict, packets: new Map() })
      }
      rows[at]!.packets.set(family, (rows[at]!.packets.get(family) ?? 0) + packets)
      last = at
    }
    // Who is exempt is said with the outbound rules already.
    return name === 'dns' ? rows.filter(({ verdict }) => verdict !== 'return') : rows
  })
}

const directionOrder = ['output', 'inbound', 'dns']
