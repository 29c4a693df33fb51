import { expect, test } from 'vitest'
import { startConsul } from '../integration/support/consul.ts'
import { rollingPairs } from '../integration/support/rolling.ts'

test('fifty pairs are replaced one after the other under load, and no request fails', {
  timeout: 1_800_000,
}, async () => {
  await using consul = await startConsul()
  await consul.ready()
  const { failures, good, restarts } = await rollingPairs(consul, { service: 'rolled', restarts: 50, rate: 60 })
  expect(failures).toEqual([])
  expect(restarts).toBe(50)
  expect(good).toBeGreaterThan(5_000)
})
