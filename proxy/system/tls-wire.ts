import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { isLiteral } from '../../mesh-config/address.ts'
import { type Dial, type DialListener, TLS_FAILED, type TlsOptions } from '../core/wire.ts'
import { urisIn } from './alternative-names.ts'
import { lookupName } from './names.ts'
import { SocketWire } from './socket-wire.ts'
import { reasonOf } from './tls-reason.ts'
import { systemTurns } from './turns.ts'

/** Sessions that are kept for a shorter handshake (RFC 8446 section 2.2). */
const MOST_SESSIONS = 1_000

/** Connections by TLS, all with the same certificates. Throws where those are not usable. */
export function tlsDial(options: TlsOptions): Dial {
  const context = contextOf(options)
  const sessions = new Map<string, Buffer>()
  const keep = (name: string, session: Buffer) => {
    sessions.delete(name)
    sessions.set(name, session)
    if (sessions.size > MOST_SESSIONS) sessions.delete(sessions.keys().next().value!)
  }
  return (address, port, listener) => {
    const name = `${address}:${port}`
    const identity = options.serverName ?? address
    return dialTo(onread => {
      const session = sessions.get(name)
      const given = {
        host: address,
        port,
        lookup: lookupName,
        secureContext: context,
        // Server Name Indication is for names only (RFC 6066 section 3).
        servername: isLiteral(identity) || isUri(identity) ? '' : identity,
        checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
          isUri(identity) ? checkUri(identity, certificate) : checkServerIdentity(identity, certificate),
        rejectUnauthorized: true,
        ...(options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
        ...(session === undefined ? {} : { session }),
        allowHalfOpen: true,
        onread,
      }
      const socket = connect(given as ConnectionOptions)
      socket.setNoDelay(true)
      socket.on('session', ticket => keep(name, ticket))
      return socket
    }, listener)
  }
}

function isUri(identity: string): boolean {
  return identity.includes('://')
}

/** As of a SPIFFE ID: it is the only URI of the certificate (SPIFFE X509-SVID section 2). */
function checkUri(identity: string, { subjectaltname = '' }: PeerCertificate): Error | undefined {
  const uris = urisIn(subjectaltname)
  if (uris.length === 1 && uris[0] === identity) return undefined
  const found = uris.length === 0 ? 'no URI' : uris.join(', ').slice(0, 200)
  return Object.assign(new Error(`the certificate has ${found}, and not ${identity}`), { code: 'ERR_TLS_CERT_URI' })
}

let system: string[] | null = null

/** The authorities that Node knows and those of the system. */
function trusted(): string[] {
  system ??= [...new Set([...getCACertificates('bundled'), ...getCACertificates('system')])]
  return system
}

function contextOf({ ca, cert, key, minVersion }: TlsOptions): SecureContext {
  return createSecureContext({
    ca: ca ?? trusted(),
    ...(cert === null || key === null ? {} : { cert, key }),
    minVersion: `TLSv${minVersion}`,
  })
}

function dialTo(make: ConstructorParameters<typeof SocketWire>[1], listener: DialListener): () => void {
  const wire = new SocketWire(null, make)
  const socket = wire.socket as TLSSocket
  let isConnected = false
  const connected = () => {
    isConnected = true
  }
  const failed = (error: NodeJS.ErrnoException) => {
    systemTurns.enter()
    listener.failed(isConnected ? `${TLS_FAILED}${reasonOf(error, 'endpoint')}` : (error.code ?? error.message))
    systemTurns.leave()
  }
  socket.once('connect', connected)
  socket.once('error', failed)
  socket.once('secureConnect', () => {
    socket.off('error', failed)
    systemTurns.enter()
    listener.connected(wire)
    systemTurns.leave()
  })
  return () => {
    socket.off('error', failed)
    socket.destroy()
  }
}
