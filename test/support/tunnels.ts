import { createHash } from 'node:crypto'
import { failures } from '../../proxy/core/failure.ts'
import { CONNECT } from '../../proxy/core/tunnel.ts'
import type { Caller } from './caller.ts'
import type { Http2Exchange } from './http2-caller.ts'
import { Http2Endpoint, reply, type Served } from './http2-endpoint.ts'
import type { Mesh } from './mesh.ts'
import { turn } from './turns.ts'
import type { UpstreamEnd } from './upstream.ts'

/** RFC 6455 section 1.3. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

/** One end of a tunnel, over any protocol. */
export interface TunnelEnd {
  /** The status of the answer; 0: none yet. */
  readonly status: number
  readonly received: string
  /** The other side has ended its direction. */
  readonly gotEnd: boolean
  /** The tunnel was cut. */
  readonly wasCut: boolean
  send(bytes: string | Buffer, end?: boolean): void
  cut(): void
  close(): void
}

export function upgradeRequest(protocol = 'websocket', more = ''): string {
  return `GET /chat HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nSec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`
}

export const downstreams = {
  'HTTP/1.1': (mesh: Mesh, protocol = 'websocket') => http1Caller(mesh.caller(), upgradeRequest(protocol)),
  'HTTP/2': (mesh: Mesh, protocol = 'websocket') =>
    http2End(mesh.http2Caller().ask({ path: '/chat', upgrade: protocol, fields: ['sec-websocket-version', '13'] })),
}

/** A caller on an HTTP/1.1 connection that asks with `head`. */
export function http1Caller(
  caller: Caller,
  head: string,
): TunnelEnd & { readonly caller: Caller; readonly head: string } {
  // The bytes after the head are not HTTP.
  caller.reader.push = () => {}
  caller.ended = () => {
    caller.gotEnd = true
  }
  caller.send(head, 'GET')
  const split = () => caller.received.indexOf('\r\n\r\n')
  return {
    caller,
    get head() {
      return split() < 0 ? '' : caller.received.slice(0, split())
    },
    get status() {
      return split() < 0 ? 0 : Number(caller.received.split(' ')[1])
    },
    get received() {
      return split() < 0 ? '' : caller.received.slice(split() + 4)
    },
    get gotEnd() {
      return caller.gotEnd
    },
    get wasCut() {
      return caller.wasReset
    },
    send(bytes, end = false) {
      if (bytes.length !== 0) caller.sendMore(bytes)
      if (end) caller.end()
    },
    cut: () => caller.wire.reset(),
    close: () => caller.close(),
  }
}

export function http2End(exchange: Http2Exchange): TunnelEnd {
  return {
    get status() {
      return exchange.status
    },
    get received() {
      return exchange.body
    },
    get gotEnd() {
      return exchange.ended
    },
    get wasCut() {
      return exchange.failure !== null
    },
    send(bytes, end = false) {
      exchange.send(bytes, end)
    },
    cut: () => exchange.cancel(),
    close() {},
  }
}

/** As RFC 6455 section 4.2.2 says, apart from the codec. */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** An endpoint that grants every tunnel; the ends appear as they open. */
export const upstreams = {
  'HTTP/1.1': (mesh: Mesh, name: string): TunnelEnd[] => {
    const ends: TunnelEnd[] = []
    mesh.upstream(name).answer = (request, connection) => {
      const upgrade = request.header('upgrade')
      const key = request.header('sec-websocket-key')
      if (upgrade === undefined) return void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      ends.push(http1End(connection))
      const accept = key === undefined ? '' : acceptFor(key)
      connection.send(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
    }
    return ends
  },
  'HTTP/2': (mesh: Mesh, name: string): TunnelEnd[] => {
    const ends: TunnelEnd[] = []
    const endpoint = new Http2Endpoint(mesh, name)
    endpoint.onHead = served => {
      if (served.upgrade === '') return
      reply(served.stream, served.upgrade === CONNECT ? 200 : 101, [], '', null, false)
      ends.push(servedEnd(served))
    }
    endpoint.answer = served => {
      if (served.upgrade === '') reply(served.stream, 200, [], 'ok')
      else served.ended = true
    }
    return ends
  },
}

/** After the head of a request: what follows is kept as it comes. */
export function http1End(connection: UpstreamEnd): TunnelEnd {
  const from = connection.received.length
  connection.reader.push = () => {}
  connection.ended = () => {
    connection.gotEnd = true
  }
  return {
    status: 101,
    get received() {
      return connection.received.slice(from)
    },
    get gotEnd() {
      return connection.gotEnd
    },
    get wasCut() {
      return connection.error !== null
    },
    send(bytes, end = false) {
      connection.send(bytes)
      if (end) connection.end()
    },
    cut: () => connection.reset(),
    close: () => connection.close(),
  }
}

function servedEnd(served: Served): TunnelEnd {
  return {
    status: 200,
    get received() {
      return served.body
    },
    get gotEnd() {
      return served.ended
    },
    get wasCut() {
      return served.failure !== null
    },
    send(bytes, end = false) {
      turn(() => served.stream.data(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, end))
    },
    cut: () => turn(() => served.stream.reset(failures.resetAfterResponse, '')),
    close() {},
  }
}

/** An endpoint with any protocol: each connection is one end of a tunnel. */
export function rawUpstream(mesh: Mesh, name: string): TunnelEnd[] {
  const ends: TunnelEnd[] = []
  mesh.upstream(name).serve = wire => {
    let [received, gotEnd, wasCut] = ['', false, false]
    wire.handler = {
      bytes(chunk, length) {
        received += chunk.latin1Slice(0, length)
      },
      drained() {},
      ended() {
        gotEnd = true
      },
      closed(error) {
        wasCut = error !== null
      },
    }
    ends.push({
      status: 0,
      get received() {
        return received
      },
      get gotEnd() {
        return gotEnd
      },
      get wasCut() {
        return wasCut
      },
      send(bytes, end = false) {
        wire.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
        if (end) wire.end()
      },
      cut: () => wire.reset(),
      close: () => wire.destroy(),
    })
  }
  return ends
}
