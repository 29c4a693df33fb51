import { expect, test } from 'vitest'
import { startConsul } from '../integration/support/consul.ts'
import { rollingPairs } from '../integration/support/rolling.ts'

test.each([
  { calls: 'HTTP/1.1 and HTTP/2', rate: 1000, grpc: false },
  { calls: 'gRPC', rate: 500, grpc: true },
])(
  'fifty pairs are replaced one after the other under $calls, and no request fails',
  {
    timeout: 1_800_000,
  },
  async ({ rate, grpc }) => {
    await using consul = await startConsul()
    await consul.ready()
    const { failures, good, restarts } = await rollingPairs(consul, { service: 'rolled', restarts: 50, rate, grpc })
    expect(failures).toEqual([])
    expect(restarts).toBe(50)
    expect(good).toBeGreaterThan(5_000)
  },
)
