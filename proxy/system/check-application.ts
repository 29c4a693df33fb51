import { formatAddress } from '../../mesh-config/address.ts'
import type { ApplicationSpec } from '../../mesh-config/snapshot.ts'
import type { CheckApplication } from '../core/application-check.ts'
import { askPort } from './check-port.ts'

/** The forms that not every configuration has are loaded with the first check of their kind. */
export const checkApplication: CheckApplication = (application, answered) => {
  const { check, address } = application
  if (check.kind === 'port') return askPort(address, check.timeoutMs, null, portAnswered(application, answered))
  others(application).then(answered, (error: unknown) => answered(`it could not be checked: ${String(error)}`))
}

function portAnswered({ address }: ApplicationSpec, answered: (trouble: string) => void) {
  return (trouble: string) =>
    answered(trouble === '' ? '' : `the application takes no connections at ${formatAddress(address)}`)
}

async function others({ address, check }: ApplicationSpec): Promise<string> {
  if (check.kind === 'http') return (await import('./check-http.ts')).checkHttp(address, check)
  if (check.kind === 'grpc') return (await import('./check-grpc.ts')).checkGrpc(address, check)
  if (check.kind === 'command') return (await import('./check-command.ts')).checkCommand(check)
  return ''
}
