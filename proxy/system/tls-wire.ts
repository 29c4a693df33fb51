import type { Socket } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
  type SecureContext,
  TLSSocket,
  type TLSSocketOptions,
} from 'node:tls'
import { isLiteral } from '../../mesh-config/address.ts'
import { type Dial, type DialListener, TLS_FAILED, type TlsOptions } from '../core/wire.ts'
import { lookupName } from './names.ts'
import { SocketWire } from './socket-wire.ts'
import { systemTurns } from './turns.ts'

/** Sessions that are kept for a shorter handshake (RFC 8446 section 2.2). */
const MOST_SESSIONS = 1_000
/** Of a text that the endpoint has a part in. */
const LONGEST_REASON = 300

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
        servername: isLiteral(identity) ? '' : identity,
        checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
          checkServerIdentity(identity, certificate),
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

/** How a server speaks TLS. */
export interface TlsServerOptions {
  readonly context: SecureContext
  /** A client without a certificate of the authorities in the context is refused. */
  readonly isMutual: boolean
  readonly alpn: readonly string[]
}

/** The handshake of an accepted connection. */
export interface Handshake {
  done(wire: SocketWire): void
  /** Why it failed; the connection is closed. */
  failed(reason: string): void
}

/** Undocumented in Node, so used only in this folder. */
interface Internals {
  connecting: boolean
  _releaseControl(): void
}

let accepted: object | null = null

/** TLS over a handle: Node itself can put it over a socket only, whose reads then go into Node's buffers. */
class ServerSocket extends TLSSocket {
  // Called by the constructor.
  _wrapHandle(wrap: unknown, _handle: unknown, isBusy: boolean): object {
    const handle = accepted
    accepted = null
    return (TLSSocket.prototype as unknown as ServerSocket)._wrapHandle.call(this, wrap, handle, isBusy)
  }
}

/** `handle`: of an accepted connection. Returns what gives the handshake up. */
export function acceptTls(
  handle: object,
  { context, isMutual, alpn }: TlsServerOptions,
  handshake: Handshake,
): () => void {
  accepted = handle
  const given = {
    isServer: true,
    secureContext: context,
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    allowHalfOpen: true,
  }
  const wire = new SocketWire(null, onread => {
    const made = new ServerSocket(undefined as unknown as Socket, { ...given, onread } as unknown as TLSSocketOptions)
    ;(made as unknown as Internals).connecting = false
    return made
  })
  const socket = wire.socket as TLSSocket
  const failed = (error: Error | null) => {
    socket.off('close', closed)
    socket.off('_tlsError', failed)
    systemTurns.enter()
    handshake.failed(error === null ? 'the client closed the connection during the handshake' : reasonOf(error))
    systemTurns.leave()
  }
  const closed = () => failed(null)
  socket.once('_tlsError', failed)
  socket.once('close', closed)
  socket.once('secure', () => {
    socket.off('close', closed)
    socket.off('_tlsError', failed)
    ;(socket as unknown as Internals)._releaseControl()
    systemTurns.enter()
    handshake.done(wire)
    systemTurns.leave()
  })
  return () => {
    socket.off('close', closed)
    socket.off('_tlsError', failed)
    socket.destroy()
  }
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
    listener.failed(isConnected ? `${TLS_FAILED}${reasonOf(error)}` : (error.code ?? error.message))
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

/** In words where the code alone is a riddle. */
function reasonOf({ code = '', message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNRESET') return 'the endpoint closed the connection during the handshake'
  if (code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER')
    return /wrong version number|packet length too long/.test(message)
      ? 'the endpoint does not speak TLS'
      : `${code}: ${lastPart(message)}`
  return `${code === '' ? '' : `${code}: `}${message}`.slice(0, LONGEST_REASON)
}

/** Of `write EPROTO 40C7...:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/...:`. */
function lastPart(message: string): string {
  return (/:SSL routines:[^:]*:([^:]+)/.exec(message)?.[1] ?? message).slice(0, LONGEST_REASON)
}
