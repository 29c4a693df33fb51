import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../integration/support/child.ts'
import { agrees, filled, plainLine, stepsOf } from './blocks.ts'
import { startSession } from './session.ts'

/**
 * What the pages show of a terminal is what a reader sees: every block is run, in order, in one session a page.
 * `OUTRIGGER_WRITE_CONSOLE=1` writes into the pages what was printed, where it is not what they show.
 */

const pages = globSync('{README.md,docs/**/*.md,examples/**/*.md}', { cwd: root })
  .filter(page => readFileSync(join(root, page), 'utf8').includes('\n```console\n'))
  .sort()
const writes = process.env.OUTRIGGER_WRITE_CONSOLE === '1'
const PATIENCE_MS = writes ? 5_000 : 30_000

describe.each(pages)('%s', page => {
  test('each command prints what the page shows', async () => {
    const file = join(root, page)
    const text = readFileSync(file, 'utf8')
    await using session = await startSession(text)
    const lines = text.split('\n')
    let shift = 0
    for (const step of stepsOf(text)) {
      const printed = await session.run(step, PATIENCE_MS)
      if (step.output === null) continue
      if (agrees(step.output, printed)) continue
      // Which lines of many a page shows is for its author to say.
      if (!writes || step.output.includes('...'))
        expect(filled(printed).map(plainLine), `$ ${step.command}\n${printed.join('\n')}`).toEqual(
          filled(step.output).map(plainLine),
        )
      const written = printed.join('\n').trimEnd().split('\n')
      lines.splice(step.from + shift, step.to - step.from, ...written)
      shift += written.length - (step.to - step.from)
    }
    if (writes) writeFileSync(file, lines.join('\n'))
  }, 600_000)
})

test('lines are compared without what is another at every run, and with all else', () => {
  expect(
    plainLine('08:45:36.772  200 -  2.2 ms  GET a/  ->  b at 127.0.0.1:18002  dff87e2b-e6ac-4dde-978b-00a8274ac301'),
  ).toBe(
    plainLine('08:45:37.001  200 -  11.4 ms  GET a/  ->  b at 127.0.0.1:18002  00000000-e6ac-4dde-978b-00a8274ac302'),
  )
  expect(plainLine('  200 after 1.1 ms')).not.toBe(plainLine('  503 after 1.1 ms'))
  expect(plainLine('at 127.0.0.1:18002')).not.toBe(plainLine('at 127.0.0.1:18001'))
  expect(agrees(['a', '...', 'd'], ['a', 'b', 'c', 'd'])).toBe(true)
  expect(agrees(['a', '...'], ['a'])).toBe(true)
  expect(agrees(['a', '...', 'd'], ['a', 'b'])).toBe(false)
  expect(agrees(['a'], ['a', 'b'])).toBe(false)
})
