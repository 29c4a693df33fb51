import { formatAddress } from '../../mesh-config/address.ts'
import type { ApplicationCheckSpec, ApplicationSpec, HealthCheckSpec } from '../../mesh-config/snapshot.ts'
import type { CheckApplication } from '../core/application-check.ts'
import type { Codec } from '../core/codec.ts'
import { askPort } from '../system/check-port.ts'
import { systemClock as clock } from '../system/clock.ts'

type AskingCheck = Extract<ApplicationCheckSpec, { kind: 'http' | 'grpc' }>

/**
 * The forms that not every configuration has are loaded with the first check of their kind: those of HTTP and gRPC are
 * the health checks of endpoints.
 */
export const checkApplication: CheckApplication = (application, answered) => {
  const { check, address } = application
  if (check.kind === 'port') return askPort(address, check.timeoutMs, portAnswered(application, answered))
  others(application).then(answered, (error: unknown) => answered(`it could not be checked: ${String(error)}`))
}

function portAnswered({ address }: ApplicationSpec, answered: (trouble: string) => void) {
  return (accepts: boolean) =>
    answered(accepts ? '' : `the application takes no connections at ${formatAddress(address)}`)
}

async function others({ address, check }: ApplicationSpec): Promise<string> {
  if (check.kind === 'command') return (await import('../system/check-command.ts')).checkCommand(check)
  return check.kind === 'port' ? '' : ask(address, check)
}

async function ask(address: ApplicationSpec['address'], check: AskingCheck): Promise<string> {
  const [{ checksOf }, { KEEP_NONE }, codec, { dial }] = await Promise.all([
    import('../checks/checks-of.ts'),
    import('../checks/checker.ts'),
    codecOf(check),
    import('../system/net.ts'),
  ])
  const make = checksOf(healthCheckOf(check), false, null, {
    clock,
    dial,
    scheme: 'http',
    http1: codec,
    http2: codec,
    kept: KEEP_NONE,
  })
  return new Promise(resolve => make(address).check(check.timeoutMs, ({ trouble }) => resolve(trouble)))
}

/** Only the one that it needs. */
async function codecOf({ kind }: AskingCheck): Promise<Pick<Codec, 'connect'>> {
  if (kind === 'http') return (await import('../codec/h1/codec.ts')).http1
  return (await import('../codec/h2/codec.ts')).http2(clock)
}

function healthCheckOf(check: AskingCheck): HealthCheckSpec {
  if (check.kind === 'grpc') return { kind: 'grpc', service: check.service, authority: '', headers: [] }
  return {
    kind: 'http',
    protocol: 'http/1.1',
    method: 'GET',
    path: check.path,
    host: '',
    headers: [],
    expect: check.statuses,
    retriable: [],
    body: null,
    maxResponseMs: 0,
  }
}
