import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/**
 * Objects of the hot path keep one hidden class over requests of all kinds: where V8 sees several, each access to a
 * field becomes a search. `%HaveSameMap` needs a flag, so the requests are made in a process of their own
 * (support/shapes-of-requests.ts), on the same simulated mesh as everywhere.
 */
test('each object of the hot path has one shape, whatever the request', () => {
  const script = join(import.meta.dirname, 'support/shapes-of-requests.ts')
  const output = execFileSync(process.execPath, ['--allow-natives-syntax', '--no-warnings', script], {
    encoding: 'utf8',
  })
  const shapes = JSON.parse(output) as Record<string, { objects: number; shapes: number }>
  for (const name of [
    'Http1Downstream',
    'Http1Upstream',
    'Http1Head',
    'Http2Stream',
    'Http2Head',
    'Http2Connection',
    'FrameWriter',
    'ReceiveFlow',
    'Forward',
    'Answer',
    'Attempts',
    'Loop',
    'RequestAttempt',
    'HeldBody',
    'Exchange',
    'AttemptRecord',
    'TraceContext',
    'Endpoint',
  ])
    expect(shapes, name).toHaveProperty(name)
  for (const [name, { objects, shapes: count }] of Object.entries(shapes)) {
    expect(objects, name).toBeGreaterThan(1)
    expect(count, `shapes of ${name}`).toBe(1)
  }
}, 30_000)
