import { createHmac } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls'
import type { PeerIdentity, SecureWire, TlsHandshake, TlsServerOptions } from '../core/wire.ts'
import { urisIn } from './alternative-names.ts'
import { SocketWire } from './socket-wire.ts'
import { reasonOf } from './tls-reason.ts'
import { systemTurns } from './turns.ts'

/** Undocumented in Node, so used only in this folder. */
interface Internals {
  connecting: boolean
  _releaseControl(): void
  readonly _handle: { receive(bytes: Buffer): void; verifyError(): NodeJS.ErrnoException | null } | null
}

/** Puts TLS over accepted connections, all with the same certificate. Throws where that is not usable. */
export function tlsServer(options: TlsServerOptions): SecureWire {
  const context = contextOf(options)
  const isMutual = options.ca !== null
  const given = {
    isServer: true,
    secureContext: context,
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    ...(options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
    allowHalfOpen: true,
  }
  return (wire, bytes, handshake) => begin(wire as SocketWire, bytes, given, isMutual, handshake)
}

function contextOf({ ca, cert, key, minVersion, ticketSecret }: TlsServerOptions): SecureContext {
  return createSecureContext({
    ...(ca === null ? {} : { ca }),
    cert,
    key,
    minVersion: `TLSv${minVersion}`,
    // Tickets of one data thread are good at the others. With other certificates they are not good any more: a session
    // that is resumed is not verified again.
    ticketKeys: createHmac('sha384', ticketSecret)
      .update(JSON.stringify([ca, cert, key, minVersion]))
      .digest(),
    sessionIdContext: 'outrigger',
  })
}

let taken: object | null = null

/** TLS over a handle: Node itself can put it over a socket only, whose reads then go into Node's buffers. */
class ServerSocket extends TLSSocket {
  // Called by the constructor.
  _wrapHandle(wrap: unknown, _handle: unknown, isBusy: boolean): object {
    const handle = taken
    taken = null
    return (TLSSocket.prototype as unknown as ServerSocket)._wrapHandle.call(this, wrap, handle, isBusy)
  }
}

function begin(
  plain: SocketWire,
  bytes: Buffer,
  given: object,
  isMutual: boolean,
  handshake: TlsHandshake,
): () => void {
  taken = plain.release()
  if (taken === null) {
    handshake.failed('the caller closed the connection')
    return () => {}
  }
  const wire = new SocketWire(null, onread => {
    const made = new ServerSocket(undefined as unknown as Socket, { ...given, onread } as unknown as TLSSocketOptions)
    ;(made as unknown as Internals).connecting = false
    return made
  })
  const socket = wire.socket as TLSSocket
  const internals = socket as unknown as Internals
  const settled = () => {
    socket.off('close', closed)
    socket.off('_tlsError', failed)
    socket.off('secure', secured)
  }
  const failed = (error: Error | null) => {
    settled()
    socket.destroy()
    systemTurns.enter()
    handshake.failed(
      error === null ? 'the caller closed the connection during the handshake' : reasonOf(error, 'caller'),
    )
    systemTurns.leave()
  }
  const closed = () => failed(null)
  const secured = () => {
    // OpenSSL only says what it thinks of the caller's certificate.
    const wrong = isMutual ? (internals._handle?.verifyError() ?? null) : null
    if (wrong !== null) return failed(wrong)
    settled()
    internals._releaseControl()
    if (isMutual) wire.identity = identityOf(socket)
    systemTurns.enter()
    handshake.done(wire)
    systemTurns.leave()
  }
  socket.once('_tlsError', failed)
  socket.once('close', closed)
  socket.once('secure', secured)
  internals._handle!.receive(bytes)
  return () => {
    settled()
    socket.destroy()
  }
}

function identityOf(socket: TLSSocket): PeerIdentity {
  const certificate = socket.getPeerX509Certificate()!
  const uris = urisIn(certificate.subjectAltName ?? '')
  return {
    uri: uris.length === 1 ? uris[0]! : '',
    subject: certificate.subject.split('\n').reverse().join(','),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}
