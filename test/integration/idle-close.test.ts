import { expect, test } from 'vitest'
import { outrigger } from '../../bench/resilience/outrigger.ts'
import { idleClose } from '../../bench/resilience/scenarios.ts'
import { trial } from '../../bench/resilience/trial.ts'

test('instances close idle connections after 0 to 50 ms: none of thousands of requests fails', async () => {
  const { requests, failures } = await trial(idleClose(500, 10_000), outrigger)
  expect(failures).toEqual({})
  expect(requests).toBeGreaterThan(500)
})
