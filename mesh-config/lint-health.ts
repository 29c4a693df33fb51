import { durationMs, formatDuration, parseDuration } from './duration.ts'
import { change, removal, suggested, together } from './fix.ts'
import { type Located, nodeAt, type Path, type Warn } from './located.ts'
import type { HealthSpec, ServiceSpec } from './snapshot.ts'

/** What one core does in a second, as bench/health-checks.ts measures it, with room to spare. */
const PER_CORE = 5_000
/** So many checks of one service run at once (proxy/checks/permits.ts). */
const AT_ONCE = 256

/** Warns of health checks that do not fit their service, or each other's times. */
export function lintHealth(service: ServiceSpec, root: Located, home: Path, warn: Warn): void {
  const { health, name, endpoints } = service
  if (health === undefined) return
  const path = [...home, 'health']
  lintTimes(health, root, path, warn)
  lintProtocol(service, health, path, warn)
  lintLoad(name, endpoints.length, health, path, warn)
}

function lintTimes(health: HealthSpec, root: Located, path: Path, warn: Warn): void {
  const { intervalMs, timeoutMs, check } = health
  const [interval, timeout] = [formatDuration(intervalMs), formatDuration(timeoutMs)]
  if (timeoutMs >= intervalMs) {
    const less = formatDuration(Math.max(1, Math.floor(intervalMs / 2)))
    warn(
      [...path, 'timeout'],
      `timeout ${timeout} is not shorter than interval ${interval}, so an endpoint that hangs is asked without a pause: write timeout: ${less}`,
      change([...path, 'timeout'], less),
    )
  }
  const written = nodeAt(root, [...path, 'noTrafficInterval'])
  const noTrafficMs = written?.kind === 'scalar' ? parseDuration(String(written.value)) : null
  if (noTrafficMs !== null && noTrafficMs < intervalMs) {
    const longer = formatDuration(Math.max(durationMs('60s'), intervalMs))
    warn(
      [...path, 'noTrafficInterval'],
      `noTrafficInterval ${formatDuration(noTrafficMs)} is shorter than interval ${interval}, so it has no effect: write noTrafficInterval: ${longer}`,
      change([...path, 'noTrafficInterval'], longer),
    )
  }
  if (check.kind === 'http' && check.maxResponseMs >= timeoutMs)
    warn(
      [...path, 'http', 'maxResponseTime'],
      `maxResponseTime ${formatDuration(check.maxResponseMs)} is not shorter than timeout ${timeout}, which ends the check before: remove it`,
      removal([...path, 'http', 'maxResponseTime']),
    )
  if (check.kind === 'http' && check.method === 'HEAD' && check.body !== null)
    warn(
      [...path, 'http', 'method'],
      'the answer to HEAD has no body, so no endpoint is healthy: write method: GET',
      change([...path, 'http', 'method'], 'GET'),
    )
}

/** Another port may speak another protocol. */
function lintProtocol({ name, protocol }: ServiceSpec, { check, port }: HealthSpec, path: Path, warn: Warn): void {
  if (port !== 0) return
  if (protocol === 'tcp' && check.kind !== 'tcp')
    warn(
      [...path, check.kind],
      `${name} speaks TCP, so its port does not answer ${check.kind === 'http' ? 'HTTP' : 'gRPC'}: write tcp: {}, or port: with the one that does`,
      suggested(together(change([...path, 'tcp'], {}), removal([...path, check.kind]))),
    )
  if ((protocol === 'http' || protocol === null) && check.kind === 'grpc')
    warn(
      [...path, 'grpc'],
      `${name} speaks HTTP/1.1, which gRPC does not go over: write protocol: grpc, or port: with the one of its gRPC server`,
    )
}

function lintLoad(name: string, count: number, health: HealthSpec, path: Path, warn: Warn): void {
  const { intervalMs, timeoutMs } = health
  const perSecond = Math.round((count * 1_000) / intervalMs)
  if (perSecond > PER_CORE / 5) {
    const cores = (perSecond / PER_CORE).toFixed(1)
    const longer = formatDuration(Math.ceil((count * 1_000) / (PER_CORE / 5) / 1_000) * 1_000)
    warn(
      [...path, 'interval'],
      `${count} endpoints of ${name} every ${formatDuration(intervalMs)} are ${perSecond} checks a second, about ${cores} cores of this sidecar alone: write interval: ${longer}`,
      change([...path, 'interval'], longer),
    )
  } else if (timeoutMs < intervalMs && (count * timeoutMs) / intervalMs > AT_ONCE) {
    const roundMs = Math.ceil(count / AT_ONCE) * timeoutMs
    warn(
      [...path, 'timeout'],
      `${AT_ONCE} checks of a service run at once: while all ${count} endpoints of ${name} hang, a round takes ${formatDuration(roundMs)}, longer than interval ${formatDuration(intervalMs)}: write a shorter timeout, or interval: ${formatDuration(roundMs)}`,
    )
  }
}
