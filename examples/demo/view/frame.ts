import type { Scene } from './scene.ts'
import type { Style } from './style.ts'
import { instanceLines, serviceLines } from './tables.ts'
import { cell, clock, count, cut, spread, visibleWidth } from './text.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

const WIDEST = 160
const COMMAND_WIDTH = 62
/** From so many rows on there is room for empty lines between parts. */
const AIRY = 38

/** The whole screen as lines, none wider and not more of them than fit. A pure function of what is to be shown. */
export function frame(scene: Scene, { columns, rows }: Size, style: Style): string[] {
  // The last column stays free: some terminals wrap when it is written to.
  const width = Math.min(columns, WIDEST) - 1
  if (scene.instead !== null) {
    const lines = ['', ...scene.instead(width)].slice(0, rows - 1)
    while (lines.length < rows - 1) lines.push('')
    return [...lines, footLine(scene, width, style)].map(line => cut(line, width))
  }
  const head = [titleLine(scene, width, style), ...(rows < AIRY ? [] : ['']), ...serviceLines(scene, width, style), '']
  const instances = instanceLines(scene.picture.instances, width, rows >= AIRY, style)
  const middle = [...instances, '', requestsLine(scene, width, style)]
  const hints = hintLines(scene, width, style)
  const foot = footLine(scene, width, style)
  // What gives way where the screen is small: first things to try, then events.
  const left = rows - head.length - middle.length - 1
  const hintRoom = Math.max(0, Math.min(hints.length, left - 4))
  const eventRoom = Math.max(0, left - (hintRoom > 0 ? hintRoom + 1 : 0))
  const events = eventLines(scene, Math.min(eventRoom, 12), width, style)
  const lines = [...head, ...middle, ...events, ...(hintRoom > 0 ? ['', ...hints.slice(0, hintRoom)] : [])]
  while (lines.length < rows - 1) lines.push('')
  return [...lines.slice(0, rows - 1), foot].map(line => cut(line, width))
}

function titleLine({ seconds, split, retries }: Scene, width: number, { bold, dim, yellow, glyphs }: Style): string {
  const { arrow } = glyphs
  const ways = [
    `you ${arrow} web ${arrow} orders ${arrow} stock, prices (gRPC),  web ${arrow} payments (v1 ${split.v1} %, v2 ${split.v2} %)`,
    `payments: v1 ${split.v1} %, v2 ${split.v2} %`,
  ]
  const lines = ways.map(way => ` ${bold('outrigger demo')}   ${dim(way)}${retries ? '' : yellow('   retries off')}`)
  const time = `${dim(clock(seconds))} `
  const fits = lines.find(line => visibleWidth(line) + 2 + visibleWidth(time) <= width)
  return spread(fits ?? lines.at(-1)!, time, width)
}

function requestsLine({ load, picture, retries }: Scene, width: number, { bold, dim, red, green }: Style): string {
  const { sent, failed, perSecond, lastFailure } = load
  const outcome = failed === 0 ? green('none failed') : red(bold(`${count(failed)} failed`))
  const hidden =
    picture.failedAttempts === 0
      ? ''
      : dim(`   (${count(picture.failedAttempts)} attempts failed${retries ? ', tried elsewhere' : ''})`)
  const why =
    failed === 0 || lastFailure === null ? hidden : dim(`   last: ${lastFailure.slice(0, Math.max(0, width - 60))}`)
  return ` ${bold(count(sent))} requests at ${perSecond}/s, ${outcome}${why}`
}

function eventLines({ events }: Scene, room: number, width: number, { dim }: Style): string[] {
  if (room === 0) return []
  const shown = events.slice(-room)
  return shown.map(({ seconds, text }, index) => {
    return cut(` ${dim(cell(clock(seconds), 5, 'right'))}  ${index === shown.length - 1 ? text : dim(text)}`, width)
  })
}

function hintLines({ hints }: Scene, width: number, { dim, cyan }: Style): string[] {
  return hints.map(({ command, shows }, index) => {
    const label = dim(cell(index === 0 ? 'try' : '', 5))
    const line = ` ${label} ${cyan(command)}`
    const gap = ' '.repeat(Math.max(2, COMMAND_WIDTH - command.length))
    return visibleWidth(line) + gap.length + shows.length > width ? line : `${line}${gap}${dim(shows)}`
  })
}

function footLine({ folder, keys }: Scene, width: number, { dim }: Style): string {
  const files = `files in ${folder} `
  return spread(` ${dim(keys ?? 'Ctrl-C ends it')}`, dim(files), width)
}
