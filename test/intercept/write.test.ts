import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { differences } from '../../intercept/compare.ts'
import { findForeign } from '../../intercept/foreign.ts'
import { iptablesScript, iptablesTables, readIptables } from '../../intercept/iptables.ts'
import { nftTable, readNftTable } from '../../intercept/nft.ts'
import { makePlan, type Plan } from '../../intercept/plan.ts'
import { rulesOf } from '../../intercept/rules.ts'

function planOf(options: Readonly<Record<string, string>>): Plan {
  const made = makePlan(options, null, 'nameserver 10.0.0.2\n')
  if (!made.ok) throw new Error(made.errors.join())
  return made.plan
}

const everything = planOf({
  'inbound-port': '15006',
  'dns-port': '15053',
  'skip-outbound-ports': Array.from({ length: 20 }, (_, i) => 100 + i * 2).join(),
  'skip-outbound-cidrs': '10.0.0.0/8,fd00::/8,192.168.0.0/16',
  'skip-users': '1,2',
  'skip-groups': '3',
  'skip-interfaces': 'docker0,cni0',
  'skip-inbound-cidrs': '10.1.0.0/16',
})

/** As nft lists a table that was set: tabs, and counters with numbers. */
const listed = (text: string) =>
  text.replaceAll(/counter (?=\S)/g, 'counter packets 3 bytes 180 ').replaceAll('    ', '\t\t')

/** As iptables-save prints what was restored: with counters, and one word without quotes. */
function saved(text: string): string {
  return text
    .split('\n')
    .map(line =>
      line
        .replace(/^-I (\S+) 1/, '-A $1')
        .replace(/^-A/, '[3:180] -A')
        .replace(/"([^ "]+)"/, '$1'),
    )
    .join('\n')
}

describe('what was set is known again', () => {
  const anyPlan = fc
    .record(
      {
        'inbound-port': fc.constant('15006'),
        'skip-outbound-ports': fc
          .uniqueArray(fc.integer({ min: 54, max: 65_535 }), { minLength: 1, maxLength: 40 })
          .map(String),
        'skip-outbound-cidrs': fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 20 }).map(String),
        'only-outbound-cidrs': fc.uniqueArray(fc.ipV6(), { minLength: 1, maxLength: 9 }).map(String),
        'skip-users': fc.uniqueArray(fc.nat({ max: 9999 }), { minLength: 1, maxLength: 9 }).map(String),
        'dns-port': fc.constant('15053'),
      },
      { requiredKeys: [] },
    )
    .map(planOf)

  test('of nft and of iptables, for any plan', () => {
    fc.assert(
      fc.property(anyPlan, fc.constantFrom(4 as const, 6 as const), (plan, family) => {
        const chains = rulesOf(plan, family)
        const nft = nftTable(family, chains)!
        expect(differences(nft, { rules: readNftTable(listed(nft.text)), behind: [] }, family)).toEqual([])
        const iptables = iptablesTables(family, chains)!
        expect(differences(iptables, readIptables(saved(iptables.text))!, family)).toEqual([])
      }),
    )
  })

  test('and counters are read', () => {
    const nft = nftTable(4, rulesOf(everything, 4))!
    expect(readNftTable(listed(nft.text)).every(({ packets }) => packets === 3)).toBe(true)
    const iptables = iptablesTables(4, rulesOf(everything, 4))!
    expect(readIptables(saved(iptables.text))!.rules.every(({ packets }) => packets === 3)).toBe(true)
  })
})

describe('a difference', () => {
  const nft = nftTable(4, rulesOf(everything, 4))!
  const seen = readNftTable(listed(nft.text))
  const tell = (rules: typeof seen) => differences(nft, { rules, behind: [] }, 4)

  test.each([
    ['nothing is there', [], ['IPv4: no rules are set']],
    ['a rule is gone', seen.toSpliced(0, 1), ['IPv4: is missing: loopback (return, in inbound)']],
    [
      'one of somebody else is among them',
      [...seen, { chain: 'output', label: '', verdict: 'accept', packets: 0 }],
      ['IPv4: is too much: a rule of somebody else (accept, in output)'],
    ],
    ['the order is another', [seen[1]!, seen[0]!, ...seen.slice(2)], ['IPv4: the rules stand in another order']],
    [
      'they are of other options whose labels are the same',
      seen.map(rule => ({ ...rule, label: rule.label.replace(/^outrigger \w+$/, 'outrigger 000000000000') })),
      ['IPv4: the rules were set with other options, or by another version'],
    ],
  ])('%s', (_, rules, told) => {
    expect(tell(rules)).toEqual(told)
  })

  test('many are told in short', () => {
    expect(
      differences(nft, { rules: readNftTable(listed(nftTable(4, rulesOf(planOf({}), 4))!.text)), behind: [] }, 4),
    ).toHaveLength(9)
  })
})

describe('iptables-restore gets', () => {
  const before = `*nat
:OUTPUT ACCEPT [5:300]
:OUTRIGGER_OUTPUT - [0:0]
:OUTRIGGER_OLD - [0:0]
[1:60] -A OUTPUT -p tcp -j THEIRS
[2:120] -A OUTPUT -m comment --comment "outrigger 0123456789ab" -j OUTRIGGER_OUTPUT
[2:120] -A OUTRIGGER_OUTPUT -j OUTRIGGER_OLD
COMMIT
`

  test('our jump out and in again in the same transaction, and nothing of others', () => {
    const script = iptablesScript(rulesOf(planOf({}), 4), before)
    expect(script).toMatch(/^-D OUTPUT -m comment --comment "outrigger 0123456789ab" -j OUTRIGGER_OUTPUT$/m)
    expect(script).toMatch(/^-I OUTPUT 1 .* -j OUTRIGGER_OUTPUT$/m)
    expect(script).toMatch(/^-X OUTRIGGER_OLD$/m)
    expect(script).not.toContain('THEIRS')
    expect(script.match(/^COMMIT$/gm)).toHaveLength(1)
  })

  test('the removal, of what there is', () => {
    expect(iptablesScript([], before)).toBe(`*nat
:OUTRIGGER_OUTPUT - [0:0]
:OUTRIGGER_OLD - [0:0]
-D OUTPUT -m comment --comment "outrigger 0123456789ab" -j OUTRIGGER_OUTPUT
-X OUTRIGGER_OUTPUT
-X OUTRIGGER_OLD
COMMIT
`)
    expect(iptablesScript([], '*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n')).toBe('')
  })

  test('fifteen ports at a time', () => {
    const { text } = iptablesTables(4, rulesOf(everything, 4))!
    const lists = [...text.matchAll(/--dports (\S+)/g)].map(([, ports]) => ports!.split(/[,:]/).length)
    expect(Math.max(...lists)).toBe(15)
  })

  test('rules of others that come first are told', () => {
    expect(readIptables(before)!.behind).toEqual(['a rule of others before ours in OUTPUT of the nat table'])
  })
})

describe('rules of others', () => {
  test('meshes are conflicts, by either way to print them', () => {
    const nft =
      'table ip nat {\n\tchain ISTIO_OUTPUT {\n\t\tmeta l4proto tcp counter packets 0 bytes 0 redirect to :15001\n\t}\n}\n'
    expect(findForeign([{ where: 'nft', text: nft }])).toEqual({
      conflicts: ['Istio redirects the same connections (nft: chain ISTIO_OUTPUT)'],
      warnings: [],
    })
    const saved =
      '*nat\n:OUTPUT ACCEPT [0:0]\n:PROXY_INIT_OUTPUT - [0:0]\n:PROXY_INIT_REDIRECT - [0:0]\n-A OUTPUT -j PROXY_INIT_OUTPUT\nCOMMIT\n'
    expect(findForeign([{ where: 'iptables-legacy', text: saved }]).conflicts).toEqual([
      'Linkerd redirects the same connections (iptables-legacy: chain PROXY_INIT_OUTPUT, PROXY_INIT_REDIRECT)',
    ])
  })

  test('ours are none, nor those of docker and kube-proxy', () => {
    const ours = nftTable(4, rulesOf(everything, 4))!.text.replaceAll(/^ {2}/gm, '\t')
    const iptables = iptablesTables(4, rulesOf(everything, 4))!.text
    const docker =
      '*nat\n:DOCKER - [0:0]\n-A DOCKER -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n'
    const all = [ours, iptables, docker].map(text => ({ where: 'a', text }))
    expect(findForeign(all)).toEqual({ conflicts: [], warnings: [] })
  })

  test('a thousand other redirects are told in short', () => {
    const lines = Array.from({ length: 1000 }, (_, i) => `-A OUTPUT -p tcp --dport ${i} -j REDIRECT --to-ports 1`)
    expect(findForeign([{ where: 'a', text: `*nat\n${lines.join('\n')}\nCOMMIT\n` }]).warnings).toHaveLength(6)
  })
})
