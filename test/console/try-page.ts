import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { root } from '../integration/support/child.ts'
import { agrees, filled, plainLine, stepsOf } from './blocks.ts'
import type { Session } from './session.ts'

const writes = process.env.OUTRIGGER_WRITE_CONSOLE === '1'
const PATIENCE_MS = writes ? 5_000 : 30_000

/** Runs every block of a page, in order. Each command prints what the page shows, or the page is written anew. */
export async function tryPage(page: string, session: Session): Promise<void> {
  const file = join(root, page)
  const text = readFileSync(file, 'utf8')
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
}
