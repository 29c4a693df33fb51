import { testSeeds } from '../simulation/faults/seeds.ts'

/** With simulation-odd.test.ts: a thousand scenarios, on two cores at a time. */
testSeeds(Array.from({ length: 500 }, (_, i) => 2 * i + 2))
