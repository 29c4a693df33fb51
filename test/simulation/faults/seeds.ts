import { describe, test } from 'vitest'
import { expectProven, expectWithinLimits } from './invariants.ts'
import { run } from './world.ts'

/** `SIMULATION=17 npx vitest run ...` runs that seed alone. */
const one = process.env.SIMULATION

/** A test for each seed. Its message says how to run it again. */
export function testSeeds(seeds: readonly number[]): void {
  describe('instances with faults', () => {
    test.each(one === undefined ? seeds : [Number(one)])('seed %i', async seed => {
      try {
        expectProven(await run(seed, expectWithinLimits))
      } catch (error) {
        if (error instanceof Error)
          error.message = `seed ${seed} (SIMULATION=${seed} npx vitest run test/simulation/faults.test.ts): ${error.message}`
        throw error
      }
    })
  })
}
