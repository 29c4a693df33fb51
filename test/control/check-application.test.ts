import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApplicationCheckSpec, ApplicationSpec } from '../../mesh-config/snapshot.ts'
import { checkApplication } from '../../proxy/control/check-application.ts'
import { machinePath } from '../integration/support/machine.ts'

const times = { intervalMs: 2_000, timeoutMs: 20_000, failures: 3, successes: 1 }
const ends: (() => void)[] = []
afterAll(() => {
  for (const end of ends) end()
})

function check(port: number, how: object): Promise<string> {
  const spec: ApplicationSpec = {
    name: 'app',
    address: { address: '127.0.0.1', port },
    check: { ...times, ...how } as ApplicationCheckSpec,
  }
  return new Promise(resolve => checkApplication(spec, resolve))
}

function listening(server: Server): Promise<number> {
  ends.push(() => server.close())
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}

/** A server that does this with each connection. */
const raw = (serve: (socket: Socket) => void) =>
  listening(
    createServer(socket => {
      ends.push(() => socket.destroy())
      serve(socket.on('error', () => {}))
    }),
  )

test('port: takes connections, or not', async () => {
  expect(await check(await raw(() => {}), { kind: 'port' })).toBe('')
  const port = await listening(createServer())
  ends.pop()!()
  expect(await check(port, { kind: 'port' })).toBe(`the application takes no connections at 127.0.0.1:${port}`)
})

const dribble = (socket: Socket) => {
  let at = 0
  setInterval(() => socket.write('HTTP/1.1 200 OK'[at++] ?? ' '), 50).unref()
}

describe('http', () => {
  const http = { kind: 'http', path: '/healthz', statuses: [[200, 399]] }

  test('asks as a client of HTTP/1.1, and reads the status', async () => {
    let status = 204
    const seen: string[] = []
    const port = await listening(
      createHttpServer((request, response) => {
        seen.push(`${request.method} ${request.url} ${request.headers.host}`)
        response.writeHead(status).end('x'.repeat(100_000))
      }),
    )
    expect(await check(port, http)).toBe('')
    status = 503
    expect(await check(port, http)).toBe(`GET http://127.0.0.1:${port}/healthz answers 503`)
    expect(await check(port, { ...http, statuses: [[503, 503]] })).toBe('')
    expect(seen[0]).toBe(`GET /healthz 127.0.0.1:${port}`)
  })

  test.each([
    ['says nothing', () => {}, 'no answer within 300 ms'],
    ['closes', (socket: Socket) => socket.end(), 'it closed the connection without an answer'],
    ['speaks something else', (socket: Socket) => socket.write('SSH-2.0-x\r\n'), 'the answer is not HTTP/1.1'],
    [
      'sends one line without end',
      (socket: Socket) => socket.write(`HTTP/1.1 200 ${'x'.repeat(70_000)}`),
      'its answer is too long',
    ],
    ['dribbles', dribble, 'no answer within 300 ms'],
  ])('a server that %s', async (_what, serve, trouble) => {
    const port = await raw(serve as (socket: Socket) => void)
    expect(await check(port, { ...http, timeoutMs: trouble.includes('300') ? 300 : 20_000 })).toContain(trouble)
  })
})

describe('grpc', () => {
  const statuses: Record<string, number> = { '': 1, 'shop.Orders': 2 }
  const health = {
    check: {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (bytes: Buffer) => ({ service: bytes.subarray(2).toString() }),
      responseSerialize: (status: number) => Buffer.from(status === 0 ? [] : [8, status]),
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  }

  test('asks the health service of a real server', async () => {
    const server = new GrpcServer()
    server.addService(health, {
      check(call: { request: { service: string } }, done: (error: object | null, status?: number) => void) {
        const status = statuses[call.request.service]
        if (status === undefined) done({ code: 5, details: 'unknown service' })
        else done(null, status)
      },
    } as never)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      )
    })
    ends.push(() => server.forceShutdown())
    const answers = await Promise.all(
      ['', 'shop.Orders', 'none'].map(service => check(port, { kind: 'grpc', service })),
    )
    expect(answers).toEqual([
      '',
      `the gRPC health of shop.Orders at 127.0.0.1:${port} is NOT_SERVING`,
      `the gRPC health of none at 127.0.0.1:${port}: the call failed: it has no such service, or no health service`,
    ])
  })

  test('a server without a health service, and one of HTTP/1.1', async () => {
    const server = new GrpcServer()
    const port = await new Promise<number>(resolve => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => resolve(bound))
    })
    ends.push(() => server.forceShutdown())
    expect(await check(port, { kind: 'grpc', service: '' })).toContain('no health service')
    expect(await check(await listening(createHttpServer()), { kind: 'grpc', service: '' })).not.toBe('')
  })
})

describe('command', () => {
  const own = process.env.PATH
  beforeAll(() => {
    process.env.PATH = machinePath
  })
  afterAll(() => {
    process.env.PATH = own
  })
  const command = (...words: string[]) => check(1, { kind: 'command', command: words })

  test('its exit code counts, and its last words are told', async () => {
    expect(await command('true')).toBe('')
    expect(await command('sh', '-c', 'echo no database >&2; exit 3')).toBe('sh ended with exit code 3: no database')
    expect(await command('no-such-command')).toContain('cannot be run')
  })

  test('one that hangs is killed, with all that it started', async () => {
    const how = { kind: 'command', command: ['sh', '-c', 'sleep 60 & sleep 60'], timeoutMs: 300 }
    expect(await check(1, how)).toBe('sh took longer than 300 ms')
  })
})
