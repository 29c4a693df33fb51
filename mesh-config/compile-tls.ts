import type { ServicePolicy } from './service.ts'
import type { TlsSpec } from './snapshot.ts'

export function compileTls(tls: NonNullable<ServicePolicy['tls']>): TlsSpec {
  const { ca = null, cert = null, key = null, serverName = null, minVersion } = tls
  return { ca, cert, key, serverName, minVersion }
}
