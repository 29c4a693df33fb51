import { jsonText, printable } from '../mesh-config/agent/printable.ts'

export const logLevels = ['debug', 'info', 'warn', 'error', 'off'] as const
export type LogLevel = (typeof logLevels)[number]

/** Facts beside the message, for machines: short names, plain values. */
export type LogFacts = Readonly<Record<string, string | number | boolean | null>>

/** What the agent says of itself: in the form of the proxy's own log. Never a secret. */
export interface AgentLog {
  debug(message: string, facts?: LogFacts): void
  info(message: string, facts?: LogFacts): void
  warn(message: string, facts?: LogFacts): void
  error(message: string, facts?: LogFacts): void
}

export interface LogOptions {
  readonly level: LogLevel
  /** True: lines for people at a terminal; else JSON lines. */
  readonly pretty: boolean
  readonly colors: boolean
  /** Writes one whole line, newline included. */
  readonly write: (line: string) => void
}

const colorOf = { debug: 90, info: 36, warn: 33, error: 31 } as const
type Speaking = keyof typeof colorOf

export function agentLog({ level, pretty, colors, write }: LogOptions): AgentLog {
  const speak =
    (own: Speaking) =>
    (message: string, facts: LogFacts = {}) => {
      if (logLevels.indexOf(own) < logLevels.indexOf(level)) return
      const time = new Date().toISOString()
      write(pretty ? prettyLine(time, own, message, facts, colors) : jsonLine(time, own, message, facts))
    }
  return { debug: speak('debug'), info: speak('info'), warn: speak('warn'), error: speak('error') }
}

function jsonLine(time: string, level: Speaking, message: string, facts: LogFacts): string {
  return `${jsonText({ time, level, msg: message, ...facts })}\n`
}

function prettyLine(time: string, level: Speaking, message: string, facts: LogFacts, colors: boolean): string {
  const paint = (code: number, text: string) => (colors ? `\u001b[${code}m${text}\u001b[39m` : text)
  const pairs = Object.entries(facts).map(([name, value]) => `  ${paint(90, `${name}=`)}${plain(value)}`)
  return `${paint(90, time.slice(11, 23))} ${paint(colorOf[level], level.padEnd(5))} ${printable(message)}${pairs.join('')}\n`
}

function plain(value: string | number | boolean | null): string {
  const text = printable(String(value))
  return text === '' || text.includes(' ') ? `"${text}"` : text
}

export function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text)
}
