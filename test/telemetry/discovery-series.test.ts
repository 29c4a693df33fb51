import { expect, test } from 'vitest'
import type { ServiceStatus, SourceStatus } from '../../proxy/core/source.ts'
import { discoverySeries } from '../../proxy/telemetry/discovery-series.ts'
import { seriesStore } from '../../proxy/telemetry/series-store.ts'

const source = (over: Partial<SourceStatus> = {}): SourceStatus => ({
  name: 'consul',
  state: 'fresh',
  ageMs: 1_500,
  trouble: '',
  endpoints: 3,
  suspects: 0,
  fromDisk: false,
  ...over,
})

function shown(store: ReturnType<typeof seriesStore>): string[] {
  return [...store.families()].flatMap(({ name, series }) =>
    [...series.values()].map(({ labels, read }) => `${name} ${labels.service} ${labels.source} ${read!()}`),
  )
}

test('a series for each source of each service, as they come, change and go', () => {
  const store = seriesStore()
  let status: ServiceStatus[] = [{ name: 'orders', endpoints: 3, known: 3, fixed: 0, sources: [source()] }]
  const series = discoverySeries(store, () => status)
  series.sync()
  expect(shown(store)).toEqual([
    'outrigger_discovery_age_seconds orders consul 1.5',
    'outrigger_discovery_stale orders consul 0',
    'outrigger_discovery_endpoints orders consul 3',
    'outrigger_discovery_suspects orders consul 0',
  ])
  status = [
    {
      name: 'orders',
      endpoints: 3,
      known: 3,
      fixed: 0,
      sources: [
        source({ state: 'stale', ageMs: 60_000, suspects: 2 }),
        source({ name: 'dns a', state: 'waiting', ageMs: null }),
      ],
    },
  ]
  series.sync()
  expect(shown(store)).toContain('outrigger_discovery_stale orders consul 1')
  expect(shown(store)).toContain('outrigger_discovery_suspects orders consul 2')
  expect(shown(store)).toContain('outrigger_discovery_age_seconds orders dns a Infinity')
  status = []
  series.sync()
  expect(shown(store)).toEqual([])
})
