import { expect, test } from 'vitest'
import { testSeeds } from './faults/seeds.ts'
import { run } from './faults/world.ts'

/** `SIMULATIONS=2000 npx vitest run test/simulation/faults.test.ts` looks further; test/long has the thousand. */
const count = Number(process.env.SIMULATIONS ?? 60)
/** Those that once found something. */
const known: readonly number[] = []

testSeeds([...new Set([...Array.from({ length: count }, (_, i) => i + 1), ...known])])

test('the same seed takes the same course', async () => {
  const course = async () => {
    const { meshes, arrivals } = await run(7, () => {})
    return JSON.stringify([meshes.map(mesh => mesh.flights()), arrivals])
  }
  expect(await course()).toBe(await course())
})
