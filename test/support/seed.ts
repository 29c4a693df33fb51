import fc from 'fast-check'

/**
 * Import this beside fast-check: property tests take the same course each time, so a red run is a bug and not the
 * weather. `SEED=7 npx vitest run ...` takes another one.
 */
fc.configureGlobal({ seed: Number(process.env.SEED ?? 20_261_121) })
