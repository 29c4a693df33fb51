import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { Fix } from '../../mesh-config/fix.ts'
import { type LoadedSnapshot, loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { Problem } from '../../mesh-config/located.ts'
import { fixAll, kindOf, patchOf } from '../../mesh-config/patch.ts'
import { minimal, readCases } from './read-cases.ts'

const cases = readCases(new URL('warnings.md', import.meta.url))
const sourcesOf = ({ text, alone }: (typeof cases)[number]) => [
  ...(alone ? [] : [minimal]),
  { file: 'case.yaml', text },
]
type Fixable = Problem & { readonly fix: Fix }

async function loadedOf(sources: Parameters<typeof loadTexts>[0]): Promise<LoadedSnapshot> {
  const loaded = await loadTexts(sources, {})
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded
}

/** The lines of a text that are not in the other one. */
function lost(before: string, after: string): string[] {
  const left = after.split('\n')
  return before.split('\n').filter(line => {
    const index = left.indexOf(line)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
}

describe('every fix of every lint of warnings.md', () => {
  const seen: string[] = []
  for (const each of cases) {
    test(each.name, async () => {
      const sources = sourcesOf(each)
      const loaded = await loadedOf(sources)
      for (const lint of loaded.lints.filter((found): found is Fixable => found.fix !== undefined)) {
        const patch = await patchOf(lint, sources, loaded, {})
        if (typeof patch === 'string') throw new Error(`${lint.message}: ${patch}`)
        seen.push(lint.message)
        const now = await loadedOf(sources.map(s => (s.file === patch.file ? { ...s, text: patch.after } : s)))
        const left = loaded.lints.filter(other => other !== lint).map(kindOf)
        // It goes away, and no other comes.
        for (const other of now.lints) {
          expect(left).toContain(kindOf(other))
          left.splice(left.indexOf(kindOf(other)), 1)
        }
        // Not more than its own lines change; of a route that moves, none.
        expect(lost(patch.before, patch.after).length).toBeLessThanOrEqual(1)
      }
    })
  }

  test('there are some', () => {
    expect(seen.length).toBeGreaterThan(50)
  })

  test.each(cases)('and all safe ones together: $name', async each => {
    const sources = sourcesOf(each)
    const { loaded, fixed, sources: after } = await fixAll(sources, await loadedOf(sources), {})
    expect((await loadedOf(after)).warnings).toEqual(loaded.warnings)
    expect(loaded.lints.filter(({ fix }) => fix?.isSafe === true)).toEqual([])
    const before = await loadedOf(sources)
    expect(loaded.lints.length).toBeLessThanOrEqual(before.lints.length - fixed.length)
  })
})

/** A file with this policy of orders, and what becomes of it when all that is safe is fixed. */
async function fixed(services: string): Promise<string> {
  const text = `# mine
outbound: [{ listen: 127.0.0.1:9101, service: orders }] # one
discovery: { endpoints: { orders: [127.0.0.1:9001] } }
${services}
# the end`
  const sources = [{ file: 'a.yaml', text }]
  const { sources: after } = await fixAll(sources, await loadedOf(sources), {})
  expect(after[0]!.text.startsWith(text.slice(0, text.indexOf('services')))).toBe(true)
  expect(after[0]!.text.endsWith('\n# the end')).toBe(true)
  parse(after[0]!.text)
  return after[0]!.text.slice(text.indexOf('services'), -'\n# the end'.length)
}

describe('the text', () => {
  test('a value is written anew, and all beside it stays', async () => {
    expect(
      await fixed("services:\n  orders:\n    timeouts: # times\n      connect: '20s'   # long\n      request: 10s"),
    ).toBe('services:\n  orders:\n    timeouts: # times\n      connect: 1s   # long\n      request: 10s')
  })

  test('a key that is missing comes to the others, in their form', async () => {
    expect(
      await fixed('services:\n  orders:\n    timeouts:\n      request: 500ms   # all\n    retries: { attempts: 1 }'),
    ).toBe(
      'services:\n  orders:\n    timeouts:\n      request: 500ms   # all\n      connect: 250ms\n    retries: { attempts: 1 }',
    )
    expect(await fixed('services: { orders: { timeouts: { request: 500ms } } }')).toBe(
      'services: { orders: { timeouts: { request: 500ms, connect: 250ms } } }',
    )
  })

  test('a line is taken out, and its comment stays', async () => {
    expect(
      await fixed(
        'services:\n  orders:\n    protocol: tcp\n    timeouts:\n      # about idle\n      idle: 30m # quiet "ones"\n      tunnel: 2h',
      ),
    ).toBe(
      'services:\n  orders:\n    protocol: tcp\n    timeouts:\n      # about idle\n      # quiet "ones"\n      tunnel: 2h',
    )
  })

  test('a map that has nothing left goes too, and not the service', async () => {
    expect(await fixed('services:\n  orders:\n    protocol: tcp\n    timeouts:\n      idle: 30m')).toBe(
      'services:\n  orders:\n    protocol: tcp',
    )
    expect(
      await fixed('services: { orders: { protocol: tcp, limits: { responseHeaders: 9 }, timeouts: { idle: 30m } } }'),
    ).toBe('services: { orders: { protocol: tcp } }')
  })

  test('with line breaks of Windows, and without one at the end', async () => {
    expect(await fixed('services:\r\n  orders:\r\n    timeouts:\r\n      request: 500ms\r')).toBe(
      'services:\r\n  orders:\r\n    timeouts:\r\n      request: 500ms\r\n      connect: 250ms\r',
    )
  })

  test('a list in lines becomes one in brackets, where no comment is lost by that', async () => {
    const list = (comment: string) =>
      `services:\n  orders:\n    protocol: tcp\n    retries:\n      on:\n        - connect-failure${comment}\n        - 5xx\n      attempts: 3`
    expect(await fixed(list(''))).toBe(
      'services:\n  orders:\n    protocol: tcp\n    retries:\n      on:\n        [connect-failure]\n      attempts: 3',
    )
    expect(await fixed(list(' # always'))).toBe(list(' # always'))
  })

  test('a value of the environment is left alone', async () => {
    const services = `services: { orders: { timeouts: { connect: "\${NONE:-20s}", request: 10s } } }`
    expect(await fixed(services)).toBe(services)
  })

  test('a route goes before the one that takes all, with the comment above it', async () => {
    const routes = (lines: string) => `outbound: [{ listen: 127.0.0.1:9101, service: orders }]
discovery: { endpoints: { orders: [127.0.0.1:9001] } }
services:
  orders:
    routes:
${lines}`
    const [api, all, pay] = [
      '      # the API\n      - match: { path: /api/* }\n        timeouts: { request: 2s }\n',
      '      # all\n      - name: all # of them\n',
      '      # pay\n      - match: { path: /pay }\n',
    ]
    const text = routes(api + all + pay)
    const sources = [{ file: 'a.yaml', text }]
    const loaded = await loadedOf(sources)
    const [lint] = loaded.lints as Fixable[]
    expect(lint!.fix.isSafe).toBe(false)
    expect(await patchOf(lint!, sources, loaded, {})).toMatchObject({ after: routes(api + pay + all) })
    const unended = [{ file: 'a.yaml', text: text.slice(0, -1) }]
    expect(await patchOf(lint!, unended, await loadedOf(unended), {})).toMatchObject({
      after: routes(api + pay + all).slice(0, -1),
    })
  })

  test('a file of JSON stays one', async () => {
    const config = {
      outbound: [{ listen: '127.0.0.1:9101', service: 'orders' }],
      discovery: { endpoints: { orders: ['127.0.0.1:9001'] } },
      services: { orders: { protocol: 'tcp', timeouts: { idle: '30m', request: '500ms' }, retries: { on: ['5xx'] } } },
    }
    const sources = [{ file: 'a.json', text: JSON.stringify(config, null, 2) }]
    const { sources: after, fixed: done } = await fixAll(sources, await loadedOf(sources), {})
    expect(done.length).toBeGreaterThan(2)
    expect(JSON.parse(after[0]!.text)).toEqual({
      ...config,
      services: { orders: { protocol: 'tcp', timeouts: { connect: '250ms' }, retries: { on: ['connect-failure'] } } },
    })
  })

  test('an anchor that is used twice changes nothing', async () => {
    const shared =
      'services:\n  orders: { protocol: tcp, timeouts: &t { idle: 30m, tunnel: 2h } }\n  cart: { timeouts: *t }'
    expect(await fixed(shared)).toBe(shared)
  })
})
