import type { HealthCheckSpec } from '../../mesh-config/snapshot.ts'
import type { CheckerDeps, MakeChecker } from './checker.ts'
import { grpcChecks } from './grpc-checker.ts'
import { httpChecks, type MatchText } from './http-checker.ts'
import { tcpChecks } from './tcp-checker.ts'

/** `pattern`: what a regular expression of the check was compiled to. */
export function checksOf(
  check: HealthCheckSpec,
  reuse: boolean,
  pattern: MatchText | null,
  deps: CheckerDeps,
): MakeChecker {
  if (check.kind === 'tcp') return tcpChecks(check, deps)
  if (check.kind === 'grpc') return grpcChecks(check, reuse, deps)
  const { body } = check
  const matches = body === null ? null : body.kind === 'regex' ? pattern! : (text: string) => text.includes(body.value)
  return httpChecks(check, reuse, matches, deps)
}

/** For people: `GET /healthz`. */
export function checkWords(check: HealthCheckSpec): string {
  if (check.kind === 'http') return `${check.method} ${check.path}`
  if (check.kind === 'grpc') return `gRPC health${check.service === '' ? '' : ` of ${check.service}`}`
  return check.send === '' && check.receive.length === 0 ? 'TCP connect' : 'TCP send and receive'
}
