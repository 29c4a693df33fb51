import type { Clock } from '../core/clock.ts'
import { type Log, type LogFacts, type LogLevel, logLevels } from '../core/log.ts'
import { jsonText, printable } from '../core/printable.ts'

/** The proxy's own log; its level may be changed while it runs. */
export interface OwnLog extends Log {
  level(): LogLevel
  setLevel(level: LogLevel): void
}

export interface LogOptions {
  readonly level: LogLevel
  /** True: lines for people at a terminal; else JSON lines. */
  readonly pretty: boolean
  readonly colors: boolean
  /** Writes one whole line, newline included. Must not throw. */
  readonly write: (line: string) => void
}

type Speaking = Exclude<LogLevel, 'off'>

const colorOf: Record<Speaking, number> = { debug: 90, info: 36, warn: 33, error: 31 }

/** docs/decisions/0012-own-log.md says why not pino. */
export function ownLog(options: LogOptions, clock: Clock): OwnLog {
  const line = options.pretty ? prettyLine(options.colors) : jsonLine
  let { level } = options
  const logger = (own: Speaking) => (message: string, facts?: LogFacts) => {
    if (logLevels.indexOf(own) >= logLevels.indexOf(level)) options.write(line(clock.wallTime(), own, message, facts))
  }
  return {
    debug: logger('debug'),
    info: logger('info'),
    warn: logger('warn'),
    error: logger('error'),
    level: () => level,
    setLevel(wanted) {
      level = wanted
    },
  }
}

function jsonLine(at: number, level: string, message: string, facts: LogFacts = {}): string {
  return `${jsonText({ time: new Date(at).toISOString(), level, msg: message, ...facts })}\n`
}

function prettyLine(colors: boolean) {
  const paint = (code: number, text: string) => (colors ? `\u001b[${code}m${text}\u001b[39m` : text)
  return (at: number, level: Speaking, message: string, facts: LogFacts = {}): string => {
    const pairs = Object.entries(facts).map(([name, value]) => `  ${paint(90, `${name}=`)}${plain(value)}`)
    const time = paint(90, new Date(at).toISOString().slice(11, 23))
    return `${time} ${paint(colorOf[level], level.padEnd(5))} ${printable(message)}${pairs.join('')}\n`
  }
}

function plain(value: string | number | boolean | null): string {
  const text = printable(String(value))
  return text === '' || text.includes(' ') ? `"${text}"` : text
}
