import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../integration/support/child.ts'
import { agrees, plainLine } from './blocks.ts'
import { startSession } from './session.ts'
import { tryPage } from './try-page.ts'

/**
 * What the pages show of a terminal is what a reader sees: every block is run, in order, in one session a page.
 * `OUTRIGGER_WRITE_CONSOLE=1` writes into the pages what was printed, where it is not what they show.
 */

/** Of test/long: they need a machine with systemd, or Docker. */
const needMore = ['docs/quickstart-vm.md', 'docs/quickstart-docker.md']
const pages = globSync('{README.md,docs/**/*.md,examples/**/*.md}', { cwd: root })
  .filter(page => readFileSync(join(root, page), 'utf8').includes('\n```console\n') && !needMore.includes(page))
  .sort()

describe.each(pages)('%s', page => {
  test('each command prints what the page shows', async () => {
    await using session = await startSession(readFileSync(join(root, page), 'utf8'))
    await tryPage(page, session)
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
