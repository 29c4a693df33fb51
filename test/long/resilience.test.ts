import { describe, expect, test } from 'vitest'
import { outrigger } from '../../bench/resilience/outrigger.ts'
import { idleClose, SCENARIOS, type Scenario } from '../../bench/resilience/scenarios.ts'
import { type Outcome, trial } from '../../bench/resilience/trial.ts'
import { node, run } from '../integration/support/child.ts'

/** The real program before real instances, one of which has a fault. */
describe.each(SCENARIOS.map(each => [each.instances, each.fault, each] as const))(
  'one of %i: %s',
  (_of, fault, scenario) => {
    test('no request fails once it is known', async () => {
      const { errors, errorsAfterDetection, detectedAfterMs, requests, failures } =
        fault === 'dropped' ? await inOwnNetwork(scenario) : await trial(scenario, outrigger)
      console.log(
        `one of ${scenario.instances}, ${fault}: ${errors} of ${requests} failed, detected after ${detectedAfterMs} ms`,
      )
      expect(errorsAfterDetection, JSON.stringify(failures)).toBe(0)
      // Too slow is no failure, and what closes idle connections answers all the same.
      if (fault !== 'slow' && fault !== 'idle-close') expect(detectedAfterMs, 'ejected').not.toBeNull()
      else expect(errors, JSON.stringify(failures)).toBe(0)
    })
  },
)

/** Where packets may be lost that are nobody else's. */
async function inOwnNetwork({ fault, instances }: Scenario): Promise<Outcome> {
  const args = ['bench/resilience/main.ts', '--proxy', 'outrigger', '--fault', fault, '--instances', String(instances)]
  // A bench of its own, which is not this test.
  const { code, out, err } = await run(node, [...args, '--json'], { VITEST: '' })
  if (code !== 0) throw new Error(err)
  return (JSON.parse(out) as Outcome[])[0]!
}

test('instances close idle connections after 0 to 50 ms while 2,000 requests a second flow: none fails', async () => {
  const { requests, failures } = await trial(idleClose(2000, 60_000), outrigger)
  console.log(`${requests} requests in a minute`)
  expect(failures).toEqual({})
})
