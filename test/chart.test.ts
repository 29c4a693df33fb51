import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { AGENT_FOLDER } from '../inject/names.ts'
import { sidecarUser, usualPorts } from '../mesh-config/usual-ports.ts'
import { chart, chartFiles, valueRows } from '../scripts/chart.ts'

/** The Helm chart, as far as it can be checked without Helm: long/chart.test.ts has the rest. */

const read = (file: string) => readFileSync(join(chart, file), 'utf8')
const templates = globSync('templates/**/*', { cwd: chart }).filter(file => /\.(yaml|tpl|txt)$/.test(file))
const values = parse(read('values.yaml'), { version: '1.1' }) as Record<string, unknown>

test.each([...chartFiles()])('%s is as `npm run docs` writes it', (file, text) => {
  expect(read(file)).toBe(text)
})

test('every dashboard is in it, and nothing that was removed', () => {
  const made = [...chartFiles().keys()].filter(file => file.startsWith('files/'))
  expect(globSync('files/**/*.*', { cwd: chart }).sort()).toEqual(made.sort())
})

test('it has the version of this project', () => {
  const { version } = JSON.parse(readFileSync(join(chart, '../../../package.json'), 'utf8')) as { version: string }
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version })
})

describe('values', () => {
  interface Node {
    readonly properties?: Readonly<Record<string, Node>>
  }
  const schema = JSON.parse(read('values.schema.json')) as Node & { $defs: object }
  const isGood = new Ajv({ strict: false, allErrors: true }).compile(schema)

  /** The places of the schema, down to where a row of the table stands. */
  function placesOf(node: Node, rows: ReadonlySet<string>, prefix = ''): string[] {
    return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
      const place = `${prefix}${key}`
      return rows.has(place) || child.properties === undefined ? [place] : placesOf(child, rows, `${place}.`)
    })
  }

  test('the schema and values.yaml have the same', () => {
    const rows = valueRows().map(({ path }) => path)
    // What Helm or a chart above it sets.
    const places = placesOf(schema, new Set(rows)).filter(place => place !== 'global' && place !== 'enabled')
    expect(places.sort()).toEqual(rows.sort())
  })

  test('the defaults are good', () => {
    expect(isGood(values) ? [] : isGood.errors).toEqual([])
  })

  test.each([
    ['/injector', { injector: { replica: 2 } }],
    ['/gateway/config', { gateway: { config: { outbund: [] } } }],
    ['/agent/policies/orders/timeouts', { agent: { policies: { orders: { timeouts: { requst: '2s' } } } } }],
    ['/gateway/config/admin', { gateway: { config: { admin: false } } }],
  ])('at %s a mistake is refused', (place, wrong) => {
    expect(isGood(wrong)).toBe(false)
    expect(isGood.errors!.map(({ instancePath }) => instancePath)).toContain(place)
  })

  test('files may name variables', () => {
    const discovery = { consul: { address: 'http://${HOST_IP}:8500' } }
    expect(isGood({ injector: { base: { discovery, workers: '${WORKERS}' } } })).toBe(true)
  })
})

describe('templates', () => {
  const used = templates.flatMap(file =>
    [...read(file).matchAll(/\$?\.Values\.([\w.]+)/g)].map(([, path]) => [file, path!] as const),
  )

  test('name only values that are there', () => {
    const at = (path: string) =>
      path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], values)
    const unknown = used.filter(([, path]) => at(path) === undefined)
    // Documents have no keys of the chart's own.
    expect(unknown.filter(([, path]) => !/^(gateway\.config|injector\.base)\./.test(path))).toEqual([])
    expect(used.length).toBeGreaterThan(40)
  })

  test('give the same each time, without hooks: for Argo CD and Flux', () => {
    for (const file of templates)
      expect(read(file), file).not.toMatch(/helm\.sh\/hook|\b(lookup|randAlpha\w*|randNumeric|genCA|uuidv4|now)\b/)
  })

  test('have the user, the ports and the folder of the sidecars', () => {
    const all = templates.map(read).join('\n')
    expect(all).toContain(`runAsUser: ${sidecarUser}`)
    expect(all).toContain(`fs.chownSync(folder, ${sidecarUser}, ${sidecarUser})`)
    expect(all).toContain(`"metrics" "0.0.0.0:${usualPorts.probes}"`)
    expect(all).toContain(`hostPath: { path: ${AGENT_FOLDER}, type`)
  })
})
