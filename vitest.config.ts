import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { testFiles } from './test/peers/needed-by.ts'

const { alone, withPeers, long } = testFiles(import.meta.dirname)

export default defineConfig({
  test: {
    // A project is what runs together: scripts/run.js runs the first while the peers of the second are being obtained.
    projects: [
      { extends: true, test: { name: 'alone', include: alone } },
      { extends: true, test: { name: 'with-peers', include: withPeers } },
      { extends: true, test: { name: 'long', include: long } },
    ],
    globalSetup: 'test/support/temporary-files.ts',
    pool: 'forks',
    // Most of the long ones wait for others (Consul, timeouts), so two at a time also where there are only two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // No test is about speed: one that takes long on a busy machine is not wrong.
    testTimeout: 120_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
  },
})
