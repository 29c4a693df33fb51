import { statSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Acceptor, Dial, DialListener } from '../core/wire.ts'
import { descriptorOf, listenOn, listenOnInherited } from './listen-on.ts'
import { lookupName } from './names.ts'
import { SocketWire } from './socket-wire.ts'
import { systemTurns } from './turns.ts'

/** The handle of an accepted socket; undocumented in Node, so used only here. */
interface WithHandle {
  _handle: object | null
}

export interface ListenOptions {
  readonly address: string
  readonly port: number
  /** Several threads or processes on one port. */
  readonly shared: boolean
}

/** How many connections may wait to be accepted. */
const BACKLOG = 4096

/** Resolves when the port is open; rejects with the system's error (EADDRINUSE ...). */
export function listen(
  options: ListenOptions,
  onWire: (wire: SocketWire) => void,
  onError: (error: Error) => void,
): Promise<Acceptor> {
  return accepting(options.port, onWire, onError, server =>
    listenOn(server, options, { backlog: BACKLOG, shared: options.shared }),
  )
}

/** The same over listening sockets that another process has opened, and that are this one's from now on. */
export async function listenInherited(
  descriptors: readonly number[],
  port: number,
  onWire: (wire: SocketWire) => void,
  onError: (error: Error) => void,
): Promise<Acceptor> {
  const acceptors: Acceptor[] = []
  for (const fd of descriptors)
    acceptors.push(await accepting(port, onWire, onError, server => listenOnInherited(server, fd, BACKLOG)))
  return {
    port: acceptors[0]!.port,
    descriptors: acceptors.flatMap(acceptor => acceptor.descriptors ?? []),
    close() {
      for (const acceptor of acceptors) acceptor.close()
    },
  }
}

function accepting(
  port: number,
  onWire: (wire: SocketWire) => void,
  onError: (error: Error) => void,
  begin: (server: Server) => void,
): Promise<Acceptor> {
  const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, accepted => {
    systemTurns.enter()
    onWire(wireOf(accepted))
    systemTurns.leave()
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      server.on('error', onError)
      const address = server.address()
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : port,
        descriptors: descriptorOf(server),
        close: () => server.close(),
      })
    })
    begin(server)
  })
}

/**
 * Makes an accepted connection read into our buffers: `net.Server` has no such option, so the socket's handle is moved
 * to a socket of ours. With a Node without a handle to move, it is a wire over the socket as it is.
 * test/system/net.test.ts checks that the handle is moved.
 */
function wireOf(accepted: Socket): SocketWire {
  const holder = accepted as unknown as WithHandle
  const handle = holder._handle ?? null
  const wire = new SocketWire(handle ?? accepted)
  if (handle !== null) holder._handle = null
  wire.socket.resume()
  return wire
}

export const dial: Dial = (address, port, listener) =>
  dialTo(socket => socket.connect({ host: address, port, lookup: lookupName }), listener)

/** The same for a Unix socket. */
export function dialPath(path: string, listener: DialListener): () => void {
  if (isThere(path)) return dialTo(socket => socket.connect({ path }), listener)
  const later = setImmediate(() => {
    systemTurns.enter()
    listener.failed('ENOENT')
    systemTurns.leave()
  })
  return () => clearImmediate(later)
}

/** Most hosts have no agent, and it is looked for all the time: a look costs less than a socket and its error. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    // Connecting says why.
    return true
  }
}

function dialTo(connect: (socket: Socket) => void, listener: DialListener): () => void {
  const wire = new SocketWire(null)
  const { socket } = wire
  const failed = (error: NodeJS.ErrnoException) => {
    systemTurns.enter()
    listener.failed(error.code ?? error.message)
    systemTurns.leave()
  }
  socket.once('error', failed)
  socket.once('connect', () => {
    socket.off('error', failed)
    systemTurns.enter()
    listener.connected(wire)
    systemTurns.leave()
  })
  connect(socket)
  return () => {
    socket.off('error', failed)
    socket.destroy()
  }
}
