export const logLevels = ['debug', 'info', 'warn', 'error', 'off'] as const

export type LogLevel = (typeof logLevels)[number]

/** Facts beside the message, for machines: short names, plain values. */
export type LogFacts = Readonly<Record<string, string | number | boolean | null>>

/** What the proxy says of itself, as against the access log. Never called on a request's way. */
export interface Log {
  debug(message: string, facts?: LogFacts): void
  info(message: string, facts?: LogFacts): void
  warn(message: string, facts?: LogFacts): void
  error(message: string, facts?: LogFacts): void
}

export function isLogLevel(text: string): text is LogLevel {
  return (logLevels as readonly string[]).includes(text)
}
