import type { Log } from '../core/log.ts'
import type { ProxyEvent } from '../core/telemetry.ts'

/** Rare things on the data threads, as lines of the log. */
export function logEvent(log: Log, thread: number, event: ProxyEvent): void {
  if (event.kind === 'listener-error') return log.error(`${event.listener}: ${event.detail}`, { thread })
  const { cluster, endpoint } = event
  if (event.kind === 'endpoint-admitted') log.info(`${endpoint} of ${cluster} is admitted again`, { cluster, endpoint, thread })
  else log.warn(`${endpoint} of ${cluster} is ejected for ${event.forMs / 1000} s: ${event.reason}`, { cluster, endpoint, thread, forMs: event.forMs })
}
