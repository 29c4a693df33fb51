import { createServer, type Server } from 'node:http'
import * as http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { FrameSocket } from './frame-socket.ts'

// WebSockets of other people's making, over HTTP/1.1 (ws, and the one Node has) and over HTTP/2 (node:http2, with
// frames of our own).

/** Either kind of end. */
export type Chat = WebSocket | FrameSocket

export interface ChatServer {
  readonly address: string
  readonly port: number
  /** Those that are open. */
  readonly sockets: Set<Chat>
  /** The codes of those that closed. */
  readonly codes: number[]
  /** Heads of requests: method, protocol. */
  readonly asked: string[]
  stop(): void
}

/** Says back what it hears, in one piece. `/refuse` is answered with 401. */
function serve(socket: Chat, { sockets, codes }: Pick<ChatServer, 'sockets' | 'codes'>): void {
  sockets.add(socket)
  const ended = (code: number) => {
    sockets.delete(socket)
    codes.push(code)
  }
  // One call each: the two know their events by other types.
  if (socket instanceof FrameSocket)
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })).on('close', ended)
  else
    socket
      .on('message', (data: Buffer, isBinary: boolean) => socket.send(data, { binary: isBinary }))
      .on('close', ended)
}

export async function startChat(): Promise<ChatServer> {
  const state = { sockets: new Set<Chat>(), codes: [] as number[], asked: [] as string[] }
  const server: Server = createServer((_request, response) => response.end('a page'))
  const chat = new WebSocketServer({
    noServer: true,
    handleProtocols: protocols => (protocols.has('chat') ? 'chat' : false),
  })
  server.on('upgrade', (request, socket: Socket, head: Buffer) => {
    state.asked.push(`${request.method} ${request.headers.upgrade}`)
    if (request.url === '/refuse')
      return void socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    chat.handleUpgrade(request, socket, head, opened => {
      opened.on('error', () => {})
      serve(opened, state)
    })
  })
  return started(server, state)
}

/** The same over HTTP/2: an extended CONNECT (RFC 8441). */
export async function startChat2(): Promise<ChatServer> {
  const state = { sockets: new Set<Chat>(), codes: [] as number[], asked: [] as string[] }
  const server = http2.createServer({ settings: { enableConnectProtocol: true } })
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    state.asked.push(`${headers[':method']} ${headers[':protocol'] ?? ''}`)
    stream.on('error', () => {})
    if (headers[':path'] === '/refuse') return void stream.respond({ ':status': 401 }, { endStream: true })
    if (headers[':method'] !== 'CONNECT') {
      stream.respond({ ':status': 200 })
      return void stream.end('a page')
    }
    stream.respond({
      ':status': 200,
      ...(headers['sec-websocket-protocol'] === undefined ? {} : { 'sec-websocket-protocol': 'chat' }),
    })
    serve(new FrameSocket(stream, true), state)
  })
  return started(server, state)
}

async function started(
  server: Server | http2.Http2Server,
  state: Pick<ChatServer, 'sockets' | 'codes' | 'asked'>,
): Promise<ChatServer> {
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => connections.add(socket))
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return {
    ...state,
    port,
    address: `127.0.0.1:${port}`,
    stop() {
      server.close()
      for (const socket of connections) socket.destroy()
    },
  }
}

/** Over HTTP/1.1. */
export async function chatOver1(port: number, path = '/chat'): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, 'chat', { perMessageDeflate: true })
  await new Promise<void>((opened, failed) => {
    socket.once('open', () => opened())
    socket.once('error', failed)
  })
  return socket
}

/** Over HTTP/2; several may share a session. Rejects with the status when it is not granted. */
export async function chatOver2(
  session: http2.ClientHttp2Session,
  authority: string,
  path = '/chat',
): Promise<FrameSocket> {
  if (session.remoteSettings === undefined || session.remoteSettings.enableConnectProtocol !== true)
    await new Promise<void>(told => session.once('remoteSettings', () => told()))
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': path,
    ':authority': authority,
    'sec-websocket-version': '13',
  })
  const status = await new Promise<number>((answered, failed) => {
    stream.once('response', headers => answered(Number(headers[':status'])))
    stream.once('error', failed)
  })
  if (status !== 200) throw new Error(`status ${status}`)
  return new FrameSocket(stream, false)
}
