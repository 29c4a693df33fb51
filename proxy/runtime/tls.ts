import type { ListenerSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Dial, MakeTlsDial, MakeTlsServer, SecureWire } from '../core/wire.ts'
import type { Tls } from './pools-of.ts'

/** What makes TLS, loaded. */
export interface TlsParts {
  readonly dial: MakeTlsDial
  readonly server: MakeTlsServer
}

/** `through`: what all dials of the data thread go through. */
export function tlsOf(load: () => Promise<TlsParts>, through: (dial: Dial) => Dial): Tls {
  let parts: TlsParts | null = null
  return {
    async load() {
      parts ??= await load()
    },
    dial: options => through(parts!.dial(options)),
    server: options => parts!.server(options),
  }
}

export function needsTls({ services, listeners }: Snapshot): boolean {
  return listeners.some(({ tls }) => tls !== undefined) || Object.values(services).some(({ tls }) => tls !== undefined)
}

/** TLS of listeners. What is made of the same certificates is kept from snapshot to snapshot. */
export function listenerTls(tls: Tls): (spec: ListenerSpec) => SecureWire | null {
  const kept = new Map<string, { readonly of: string; readonly secure: SecureWire }>()
  return ({ name, tls: spec, protocol }) => {
    if (spec === undefined) {
      kept.delete(name)
      return null
    }
    const { pem, minVersion, ticketSecret = '' } = spec
    if (pem === undefined) throw new Error(`${name}: its certificate has not been read`)
    const alpn = protocol === 'tcp' ? [] : ['h2', 'http/1.1']
    const options = { ca: pem.ca, cert: pem.cert!, key: pem.key!, minVersion, alpn, ticketSecret }
    const of = JSON.stringify(options)
    const known = kept.get(name)
    if (known?.of === of) return known.secure
    const secure = tls.server(options)
    kept.set(name, { of, secure })
    return secure
  }
}
