import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { metrics } from '../proxy/core/metrics-table.ts'
import { agentMetrics } from '../scripts/agent-metrics.ts'

/** What deploy/ has, as far as it can be checked without the programs it is for: integration/prometheus.test.ts has those. */

const folder = join(import.meta.dirname, '../deploy')
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly datasource: { readonly type: string; readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly { readonly refId: string; readonly expr: string }[]
}

interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}

const names = [...Object.keys(metrics), ...agentMetrics.map(([name]) => name)]
const withSuffixes = new Set(names.flatMap(name => [name, `${name}_bucket`, `${name}_count`, `${name}_sum`]))

/** The metrics that an expression asks for. */
const asked = (expression: string) =>
  [...expression.matchAll(/\b(?:outrigger|http|grpc_requests|process|nodejs)_[a-z0-9_]+\b/g)].map(([name]) => name)

describe('dashboards', () => {
  const files = readdirSync(join(folder, 'grafana'))
  const dashboards = files.map(file => JSON.parse(read(`grafana/${file}`)) as Dashboard)

  test('are four, each with an id of its own', () => {
    expect(files.sort()).toEqual(['agent.json', 'endpoint.json', 'mesh.json', 'service.json'])
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(4)
  })

  test.each(dashboards)(
    '$title: panels do not overlap, and have what Grafana asks for',
    ({ panels, schemaVersion }) => {
      expect(schemaVersion).toBeGreaterThanOrEqual(36)
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
      expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
      const cells = new Set<string>()
      for (const { gridPos, datasource, type, targets } of panels) {
        expect(['timeseries', 'stat']).toContain(type)
        expect(datasource).toEqual({ type: 'prometheus', uid: `\${datasource}` })
        expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
        expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            expect(cells.has(`${x} ${y}`)).toBe(false)
            cells.add(`${x} ${y}`)
          }
      }
    },
  )

  test.each(dashboards)('$title: every metric and variable is there', ({ panels, templating }) => {
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const variables = templating.list.map(({ name }) => name)
    for (const expression of expressions) {
      expect(asked(expression).filter(name => !withSuffixes.has(name))).toEqual([])
      const used = [...expression.matchAll(/\$(\w+)/g)].map(([, name]) => name!)
      expect(used.filter(name => name !== '__rate_interval' && !variables.includes(name))).toEqual([])
    }
  })
})

describe('rules', () => {
  const { groups } = parse(read('prometheus/rules.yaml')) as {
    groups: {
      rules: { alert?: string; expr: string; labels?: Record<string, string>; annotations?: Record<string, string> }[]
    }[]
  }
  const rules = groups.flatMap(group => group.rules)
  const alerts = rules.filter(({ alert }) => alert !== undefined)

  test('every metric is there; of certificates there will be one', () => {
    const unknown = rules.flatMap(({ expr }) => asked(expr)).filter(name => !withSuffixes.has(name))
    expect(unknown).toEqual(['outrigger_certificate_expiry_seconds'])
  })

  test('each alert says how bad it is, what it is and what it means, and is in docs/operations.md', () => {
    const page = readFileSync(join(folder, '../docs/operations.md'), 'utf8')
    for (const { alert, labels, annotations } of alerts) {
      expect(['warning', 'critical']).toContain(labels?.severity)
      expect(Object.keys(annotations ?? {})).toEqual(['summary', 'description'])
      expect(page).toContain(`| ${alert} |`)
    }
    expect(alerts).toHaveLength(8)
  })
})

test('the configuration of Filebeat is YAML, and reads JSON lines', () => {
  const { 'filebeat.inputs': inputs } = parse(read('elastic/filebeat.yaml')) as {
    'filebeat.inputs': { parsers: { ndjson: { target: string } }[] }[]
  }
  expect(inputs[0]!.parsers[0]!.ndjson.target).toBe('')
})
