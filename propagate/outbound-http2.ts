import { Duplex } from 'node:stream'
import { http2IfLoaded, net, override } from './builtins.ts'
import { addCarried, type Carried, carried, NOTHING } from './context.ts'
import { followEvents, setOwner } from './events.ts'
import { isGrpcFollowed } from './outbound-grpc.ts'

/**
 * node:http2 costs 16 MB, so it is not loaded here. An application that has loaded it opens a connection before it sends
 * anything: then is the time to follow its sessions.
 */
export function followHttp2(): void {
  let done = false
  override(
    net.Socket.prototype,
    'connect',
    original =>
      function connect(this: unknown, ...args: unknown[]) {
        if (!done) done = followSessions()
        return Reflect.apply(original, this, args)
      },
  )
}

/** False: http2 is not loaded yet. Never throws. */
function followSessions(): boolean {
  try {
    const http2 = http2IfLoaded()
    if (http2 === null) return false
    // The class of a client's session is not exported. This one is connected to nothing.
    const nowhere = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    const session = http2.connect('http://localhost', { createConnection: () => nowhere })
    session.on('error', () => {}).destroy()
    override(
      Object.getPrototypeOf(session) as object,
      'request',
      original =>
        function request(this: unknown, ...args: unknown[]) {
          const owner = ownerOfCall(args[0])
          if (owner === null) return Reflect.apply(original, this, args)
          const stream = Reflect.apply(original, this, [withCarried(args[0], owner), ...args.slice(1)])
          own(stream, owner)
          return stream
        },
    )
  } catch {
    // Its calls go out as the application makes them.
  }
  return true
}

const GRPC_JS = /\bgrpc-node-js\//

/** Null: not ours to follow. */
function ownerOfCall(headers: unknown): Carried | null {
  // grpc-js sends calls that waited for a connection from wherever the connection was made.
  if (typeof headers === 'object' && headers !== null && !Array.isArray(headers)) {
    const agent = (headers as Record<string, unknown>)['user-agent']
    if (isGrpcFollowed() && GRPC_JS.test(String(agent))) return null
  }
  return carried() ?? NOTHING
}

function own(stream: unknown, owner: Carried): void {
  if (typeof stream !== 'object' || stream === null) return
  followEvents(Object.getPrototypeOf(stream) as object)
  setOwner(stream, owner)
}

/** The application's own object is left as it is. Never throws. */
function withCarried(headers: unknown, owner: Carried): unknown {
  try {
    if (owner === NOTHING) return headers
    return Array.isArray(headers) ? withMoreFields(headers, owner) : withMoreKeys((headers ?? {}) as Head, owner)
  } catch {
    return headers
  }
}

type Head = Record<string, unknown>

function withMoreKeys(headers: Head, owner: Carried): unknown {
  const names = new Map(Object.keys(headers).map(name => [name.toLowerCase(), headers[name]]))
  if (isTunnel(names)) return headers
  const all: Head = { ...headers }
  addCarried(
    owner,
    {
      has: name => names.has(name),
      add(name, value) {
        all[name] = value
      },
    },
    isGrpc(names.get('content-type')),
  )
  return all
}

/** Since Node 24 the head may be a list: `[name, value, name, value]`. */
function withMoreFields(headers: readonly unknown[], owner: Carried): unknown {
  const names = new Map<string, unknown>()
  for (let index = 0; index + 1 < headers.length; index += 2)
    names.set(String(headers[index]).toLowerCase(), headers[index + 1])
  if (isTunnel(names)) return headers
  const all = [...headers]
  const head = {
    has: (name: string) => names.has(name),
    add: (name: string, value: string) => void all.push(name, value),
  }
  addCarried(owner, head, isGrpc(names.get('content-type')))
  return all
}

/** CONNECT asks a proxy for a tunnel; with `:protocol` (RFC 8441) it is a request. */
function isTunnel(names: ReadonlyMap<string, unknown>): boolean {
  return names.get(':method') === 'CONNECT' && !names.has(':protocol')
}

function isGrpc(contentType: unknown): boolean {
  return typeof contentType === 'string' && contentType.startsWith('application/grpc')
}
