import type { ServicePolicy } from './service.ts'
import type { SidecarDocument } from './sidecar.ts'
import type { ServerTlsSpec, TlsSpec } from './snapshot.ts'

export function compileTls(tls: NonNullable<ServicePolicy['tls']>): TlsSpec {
  const { ca = null, cert = null, key = null, serverName = null, minVersion } = tls
  return { ca, cert, key, serverName, minVersion }
}

export function compileServerTls(tls: NonNullable<SidecarDocument['inbound'][number]['tls']>): ServerTlsSpec {
  const { cert, key, clientCa = null, mode, minVersion } = tls
  return { ca: clientCa, cert, key, isStrict: mode === 'strict', minVersion }
}
