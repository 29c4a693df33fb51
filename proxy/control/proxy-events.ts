import { evidenceText } from '../core/evidence-text.ts'
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
  if (event.kind === 'breaker') return logBreaker(log, thread, event)
  if (event.kind === 'endpoint-ejected') return logEjection(log, thread, event)
  const { cluster, endpoint, by } = event
  const whose = by === 'operator' ? ' by an operator' : ''
  log.info(`${endpoint} of ${cluster} is admitted again${whose}`, { cluster, endpoint, thread })
}

type Of<Kind> = Extract<ProxyEvent, { kind: Kind }>

function logBreaker(log: Log, thread: number, { cluster, to, reason, forMs }: Of<'breaker'>): void {
  const fields = { cluster, thread, ...(to === 'open' ? { forMs } : {}) }
  if (to === 'open') return log.warn(`the breaker of ${cluster} is open for ${forMs / 1000} s: ${reason}`, fields)
  log.info(`the breaker of ${cluster} is ${to}: ${reason}`, fields)
}

function logEjection(log: Log, thread: number, ejection: Of<'endpoint-ejected'>): void {
  const { cluster, endpoint, forMs, reason, by, shadow, evidence } = ejection
  const what = shadow ? 'would be ejected (mode: shadow)' : 'is ejected'
  const failures = evidence.length === 0 ? '' : `; its last failures: ${evidence.map(evidenceText).join(', ')}`
  log.warn(`${endpoint} of ${cluster} ${what} for ${forMs / 1000} s: ${reason}${failures}`, {
    cluster,
    endpoint,
    thread,
    forMs,
    by,
    shadow,
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
