import { expect, test } from 'vitest'
import { warningOf } from '../../dev/output.ts'

test('a warning of a sidecar steers no terminal, whatever a caller made it say', () => {
  const line = JSON.stringify({ level: 'warn', msg: 'no service is known as "\u001b[2J"', host: 'a\u009bb\nc' })
  expect(warningOf(line)).toBe('warn: no service is known as "\\x1B[2J" host=a\\x9Bb\\x0Ac')
})

test('what is no warning of ours is not shown', () => {
  expect([warningOf('plain'), warningOf('{'), warningOf('{"level":"info","msg":"a"}')]).toEqual([null, null, null])
})
