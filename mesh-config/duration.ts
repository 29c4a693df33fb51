/**
 * Durations as a user writes them (`250ms`, `2s`, `1m30s`, `off`) and as the proxy runs on them: whole milliseconds, 0
 * for "off".
 */

const unitMs = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

export const durationPattern = '^(off|0|(?=\\d)(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?)$'

const written = new RegExp(durationPattern)

/** The longest a timer of the platform can wait, about 24 days. */
export const maxDurationMs = 2_147_483_647

/** Null: not a duration. `off`, `0` and `0s` are 0. */
export function parseDuration(text: string): number | null {
  if (text === 'off' || text === '0') return 0
  if (!written.test(text)) return null
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|h|m|s)/g))
    total += Number(count) * unitMs[unit as keyof typeof unitMs]
  return total <= maxDurationMs ? total : null
}

/** For text that the schema has accepted. */
export function durationMs(text: string | 0): number {
  const parsed = parseDuration(String(text))
  if (parsed === null) throw new Error(`not a duration: ${text}`)
  return parsed
}

/** The shortest way to write it with one unit; `parseDuration` gives the same milliseconds back. */
export function formatDuration(ms: number): string {
  if (ms === 0) return 'off'
  for (const unit of ['h', 'm', 's'] as const) if (ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`
  return `${ms}ms`
}

/**
 * What was probably meant by a text that is not a duration: `5 sec` -> `5s`, `1.5s` -> `1500ms`, `5` -> `5s`. Null:
 * unknown.
 */
export function guessDuration(input: string | number): string | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\.?\s*$/i.exec(String(input))
  if (match === null) return null
  const unit = guessUnit(match[2]!.toLowerCase())
  if (unit === null) return null
  const ms = Math.round(Number(match[1]) * unit)
  return ms > 0 && ms <= maxDurationMs ? formatDuration(ms) : null
}

function guessUnit(word: string): number | null {
  if (word === '' || /^s(ecs?|econds?)?$/.test(word)) return unitMs.s
  if (/^(ms(ecs?)?|milli(s|seconds?)?)$/.test(word)) return unitMs.ms
  if (/^m(ins?|inutes?)?$/.test(word)) return unitMs.m
  if (/^h((ou)?rs?)?$/.test(word)) return unitMs.h
  if (/^d(ays?)?$/.test(word)) return 24 * unitMs.h
  return null
}
