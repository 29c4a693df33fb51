import { expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'

async function warningsOf(count: number, health: string): Promise<readonly string[]> {
  const endpoints = Array.from({ length: count }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:80`)
  const text = `outbound: [{ listen: 127.0.0.1:9101, service: orders }]
discovery: { endpoints: { orders: [${endpoints.join(', ')}] } }
services: { orders: { health: ${health} } }
`
  const loaded = await loadTexts([{ file: 'a.yaml', text }], {})
  return loaded.ok ? loaded.warnings.map(line => line.replace(/^a.yaml:\d+:\d+: /, '')) : loaded.errors
}

test('what the checks of many endpoints cost, and how long a round of them takes', async () => {
  expect(await warningsOf(1_000, '{ tcp: {} }')).toEqual([])
  expect(await warningsOf(4_000, '{ tcp: {}, interval: 1s, timeout: 100ms }')).toEqual([
    '4000 endpoints of orders every 1s are 4000 checks a second, about 0.8 cores of this sidecar alone: write interval: 4s',
  ])
  expect(await warningsOf(4_000, '{ tcp: {}, interval: 5s, timeout: 2s }')).toEqual([
    '256 checks of a service run at once: while all 4000 endpoints of orders hang, a round takes 32s, longer than interval 5s: write a shorter timeout, or interval: 32s',
  ])
})
