import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/**
 * A pick makes no garbage, nor does learning from an answer. Whoever looks at the heap must be alone on it, so the
 * picks are made in a process of their own (picks-in-a-loop.ts).
 */
// On a busy machine the compilers may be late, and code that is not compiled yet makes garbage: then it is measured
// again.
test('picking and learning allocate nothing', { retry: 2, timeout: 60_000 }, () => {
  const script = join(import.meta.dirname, 'picks-in-a-loop.ts')
  const output = execFileSync(process.execPath, ['--no-warnings', script], { encoding: 'utf8' })
  const bytes = JSON.parse(output) as Record<string, number>
  expect(Object.keys(bytes).length).toBeGreaterThan(18)
  expect(bytes['an object each time']).toBeGreaterThan(8)
  for (const [what, each] of Object.entries(bytes))
    if (what !== 'an object each time') expect(each, what).toBeLessThan(1)
})
