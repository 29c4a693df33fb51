import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/**
 * The trace of a request that is not recorded makes no garbage. Whoever looks at the heap must be alone on it, so the
 * requests are made in a process of their own (traces-in-a-loop.ts).
 */
// On a busy machine the compilers may be late, and code that is not compiled yet makes garbage: then it is measured
// again.
test('a request that is not recorded allocates nothing for its trace', { retry: 2, timeout: 60_000 }, () => {
  const script = join(import.meta.dirname, 'traces-in-a-loop.ts')
  const output = execFileSync(process.execPath, ['--no-warnings', script], { encoding: 'utf8' })
  const bytes = JSON.parse(output) as Record<string, number>
  expect(bytes['an object each time']).toBeGreaterThan(8)
  for (const what of ['a new trace, outbound', 'a new trace, inbound', 'the trace of a caller'])
    expect(bytes[what], what).toBeLessThan(1)
})
