/** Rules of others that matter to ours, found in what nft and iptables print. */

export interface Foreign {
  /** Other meshes that redirect the same connections: with both, each connection would go through one of two proxies. */
  readonly conflicts: readonly string[]
  readonly warnings: readonly string[]
}

const meshes: readonly (readonly [pattern: RegExp, mesh: string])[] = [
  [/^ISTIO_/, 'Istio'],
  [/^PROXY_INIT_/, 'Linkerd'],
  [/^CONSUL_(PROXY|DNS)_/, 'Consul'],
  [/^(KUMA_)?MESH_(IN|OUT)BOUND/, 'Kuma'],
  [/^OSM_PROXY_/, 'Open Service Mesh'],
]

const OURS = /^(OUTRIGGER_|outrigger$)/
const MOST = 5

/** `where`: the tool and family, such as `nft`. */
export function findForeign(rulesets: readonly { readonly where: string; readonly text: string }[]): Foreign {
  const conflicts: string[] = []
  const redirects: string[] = []
  const untracked: string[] = []
  for (const { where, text } of rulesets) {
    const found = new Map<string, string[]>()
    for (const { table, chain, rule } of linesOf(text)) {
      if (OURS.test(table.split(' ').at(-1)!) || OURS.test(chain)) continue
      const mesh = meshes.find(([pattern]) => pattern.test(chain))?.[1]
      if (mesh !== undefined) {
        const chains = found.get(mesh) ?? []
        if (!chains.includes(chain)) found.set(mesh, [...chains, chain])
      } else if (/\bredirect\b|-j REDIRECT\b|\btproxy to\b|-j TPROXY\b/.test(rule))
        redirects.push(`${where}, ${chain}: ${rule}`)
      else if (/\bnotrack\b|-j NOTRACK\b|--notrack\b/.test(rule)) untracked.push(`${where}, ${chain}: ${rule}`)
    }
    for (const [mesh, chains] of found)
      conflicts.push(`${mesh} redirects the same connections (${where}: chain ${chains.join(', ')})`)
  }
  return {
    conflicts: [...new Set(conflicts)],
    warnings: [
      ...some(redirects, 'another program redirects connections too; ours come first'),
      ...some(untracked, 'connections without tracking are never redirected'),
    ],
  }
}

function some(lines: readonly string[], what: string): string[] {
  const distinct = [...new Set(lines)]
  const shown = distinct.slice(0, MOST).map(line => `${what} (${line.slice(0, 160)})`)
  return distinct.length > MOST ? [...shown, `${what}: ${distinct.length - MOST} more rules`] : shown
}

interface Line {
  readonly table: string
  readonly chain: string
  /** Empty for a chain without rules. */
  readonly rule: string
}

/** Of both ways to print: `chain X {` with rules inside, and `:X - [0:0]` with `-A X ...`. */
function* linesOf(text: string): Iterable<Line> {
  let table = ''
  let chain = ''
  for (const raw of text.split('\n')) {
    const line = raw.trim()
    const ofTable = /^table (\S+ \S+) \{$|^\*(\S+)$/.exec(line)
    const ofChain = /^chain (\S+) \{$|^:(\S+) /.exec(line)
    if (ofTable !== null) {
      table = ofTable[1] ?? ofTable[2]!
      chain = ''
    } else if (ofChain !== null) {
      chain = ofChain[1] ?? ofChain[2]!
      yield { table, chain, rule: '' }
    } else if (line.startsWith('-A ')) {
      const [, name = ''] = line.split(' ')
      yield { table, chain: name, rule: line }
    } else if (chain !== '' && line !== '' && line !== '}' && !line.startsWith('type '))
      yield { table, chain, rule: line }
  }
}
