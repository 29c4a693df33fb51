import type { Log, LogFacts } from '../../proxy/core/log.ts'

/** A log that keeps what it is told: `warn message key=value`. */
export function logTape(): Log & { lines(): readonly string[] } {
  const lines: string[] = []
  const at =
    (level: string) =>
    (message: string, facts: LogFacts = {}) => {
      const pairs = Object.entries(facts).map(([name, value]) => ` ${name}=${value}`)
      lines.push(`${level} ${message}${pairs.join('')}`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), lines: () => lines }
}
