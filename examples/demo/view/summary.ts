import type { Check } from '../once.ts'
import type { Scene } from './scene.ts'
import type { Style } from './style.ts'
import { cell, count } from './text.ts'

export interface InstanceTotal {
  readonly name: string
  readonly attempts: number
}

/** What stays on the terminal after `--once`. */
export function onceSummary(
  checks: readonly Check[],
  totals: readonly InstanceTotal[],
  { load, picture }: Scene,
  style: Style,
): string {
  const { bold, dim, red, green, glyphs } = style
  const textWidth = Math.max(...checks.map(({ text }) => text.length)) + 2
  const rows = checks.map(({ passed, text, seen, wanted }) => {
    const mark = passed ? green(glyphs.yes) : red(glyphs.no)
    return ` ${mark} ${cell(text, textWidth)}${cell(seen, 14, 'left', passed ? undefined : red)}${dim(`wanted: ${wanted}`)}`
  })
  const failed = checks.filter(({ passed }) => !passed).length
  const verdict =
    failed === 0 ? green(`all ${checks.length} checks passed`) : red(`${failed} of ${checks.length} checks failed`)
  return [
    '',
    ` ${bold('Calls that each instance got, over all scenes')}`,
    ...totalLines(totals, style),
    '',
    ` ${bold('Checks')}`,
    ...rows,
    '',
    ` ${bold(count(load.sent))} requests, ${count(load.failed)} failed; ${count(picture.failedAttempts)} attempts at an endpoint failed on the way. ${bold(verdict)}`,
    ...(load.lastFailure === null ? [] : [` the last failed request: ${load.lastFailure.slice(0, 400)}`]),
    '',
  ].join('\n')
}

function totalLines(totals: readonly InstanceTotal[], { cyan, glyphs }: Style): string[] {
  const top = Math.max(1, ...totals.map(({ attempts }) => attempts))
  return totals.map(
    ({ name, attempts }) =>
      ` ${cell(name, 15)}${cell(count(attempts), 8, 'right')}  ${cyan(glyphs.bar.repeat(Math.round((attempts / top) * 40)))}`,
  )
}
