import type { Log } from '../core/log.ts'
import type { ProxyEvent } from '../core/telemetry.ts'

/** Rare things on the data threads, as lines of the log. */
export function logEvent(log: Log, thread: number, event: ProxyEvent): void {
  if (event.kind === 'listener-error') return log.error(`${event.listener}: ${event.detail}`, { thread })
  if (event.kind === 'buffers-full')
    return log.warn(
      `the largest holders of bodies were cut (${event.count}): ${event.detail}; raise \`buffers\`, or look in /flights?failed for the caller or endpoint that has stopped reading`,
      { thread },
    )
  if (event.kind === 'slow-patterns') return logSlowPatterns(log, thread, event)
  if (event.kind === 'http2-guard') {
    const { side, guard, detail, peer, unlogged } = event
    const others = unlogged === 0 ? '' : `, and ${unlogged} more since the last such line`
    return log.warn(`HTTP/2 guard ${guard} stopped ${side} ${peer}: ${detail}${others}`, { side, guard, peer, thread })
  }
  if (event.kind === 'breaker') {
    const { cluster, to, reason, forMs } = event
    const fields = { cluster, thread, ...(to === 'open' ? { forMs } : {}) }
    if (to === 'open') return log.warn(`the breaker of ${cluster} is open for ${forMs / 1000} s: ${reason}`, fields)
    return log.info(`the breaker of ${cluster} is ${to}: ${reason}`, fields)
  }
  const { cluster, endpoint } = event
  if (event.kind === 'endpoint-admitted')
    log.info(`${endpoint} of ${cluster} is admitted again`, { cluster, endpoint, thread })
  else
    log.warn(`${endpoint} of ${cluster} is ejected for ${event.forMs / 1000} s: ${event.reason}`, {
      cluster,
      endpoint,
      thread,
      forMs: event.forMs,
    })
}

type SlowPatterns = Extract<ProxyEvent, { kind: 'slow-patterns' }>

function logSlowPatterns(log: Log, thread: number, cost: SlowPatterns): void {
  const { loadMs, compileMs, count, slowest, slowestMs } = cost
  const [load, compile, most] = [loadMs, compileMs, slowestMs].map(Math.round)
  log.warn(
    `regular expressions of routes: ${load} ms to load their engine, ${compile} ms to compile ${count} of them, in which data thread ${thread} served nothing; the slowest took ${most} ms: ${slowest}`,
    { thread, loadMs, compileMs, count },
  )
}
