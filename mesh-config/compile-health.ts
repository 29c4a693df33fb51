import { durationMs } from './duration.ts'
import type { HealthPolicy } from './health.ts'
import type { HealthCheckSpec, HealthSpec, StatusRange } from './health-spec.ts'
import type { ServicePolicy } from './service.ts'
import { statusRange } from './status-range.ts'

type Bytes = NonNullable<NonNullable<HealthPolicy['tcp']>['send']>

/** `protocol`: of the service. */
export function compileHealth(name: string, health: HealthPolicy, protocol: ServicePolicy['protocol']): HealthSpec {
  const intervalMs = durationMs(health.interval)
  return {
    check: checkOf(name, health, protocol),
    port: health.port ?? 0,
    intervalMs,
    noTrafficMs: Math.max(intervalMs, durationMs(health.noTrafficInterval)),
    jitterPercent: health.jitter,
    timeoutMs: durationMs(health.timeout),
    unhealthyAfter: health.unhealthyAfter,
    healthyAfter: health.healthyAfter,
    reuse: health.reuseConnection,
    secured: health.tls,
  }
}

function checkOf(
  name: string,
  { http, tcp, grpc }: HealthPolicy,
  protocol: ServicePolicy['protocol'],
): HealthCheckSpec {
  if (http !== undefined) {
    const speaksHttp2 = protocol === 'http2' || protocol === 'grpc'
    const isHttp2 = http.protocol === undefined ? speaksHttp2 : http.protocol === 'http2'
    return {
      kind: 'http',
      protocol: isHttp2 ? 'h2' : 'http/1.1',
      method: http.method,
      path: http.path,
      host: http.host ?? name,
      headers: Object.entries(http.headers),
      expect: rangesOf(http.expect),
      retriable: rangesOf(http.retriable),
      body: bodyOf(http.body),
      maxResponseMs: durationMs(http.maxResponseTime),
    }
  }
  if (tcp !== undefined)
    return { kind: 'tcp', send: tcp.send === undefined ? '' : hexOf(tcp.send), receive: tcp.receive.map(hexOf) }
  const { service, authority, headers } = grpc!
  return { kind: 'grpc', service, authority: authority ?? name, headers: Object.entries(headers) }
}

function rangesOf(written: readonly (string | number)[]): StatusRange[] {
  return written.map(each => statusRange(String(each)))
}

function bodyOf(body: NonNullable<HealthPolicy['http']>['body']) {
  if (body === undefined) return null
  return body.regex === undefined
    ? ({ kind: 'contains', value: body.contains! } as const)
    : ({ kind: 'regex', value: body.regex } as const)
}

function hexOf(bytes: Bytes): string {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'utf8').toString('hex') : bytes.hex.toLowerCase()
}
