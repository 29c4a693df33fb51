import { join } from 'node:path'
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { grpcService } from '../../agent/sync/protos.ts'
import { http2 } from '../../proxy/codec/h2/codec.ts'
import { type AgentConnection, agentConnection, type CallEnd } from '../../proxy/sync/connection.ts'
import { systemClock as clock } from '../../proxy/system/clock.ts'
import { dialPath } from '../../proxy/system/net.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

// Unary calls, against the agent's library.

const LINT = '/outrigger.agent.v1.Policies/Lint'
type Lint = ServerUnaryCall<{ readonly service: string; readonly text: string }, object>
type Done = sendUnaryData<object>

const path = join(temporaryFolder(), 'agent.sock')
const server = new Server()
/** Calls that are to wait, and what lets them go on. */
const waiting: (() => void)[] = []
const heard: string[] = []

beforeAll(async () => {
  const { Lint: definition } = grpcService('Policies').service as ServiceDefinition
  server.addService({ Lint: definition! } as ServiceDefinition, {
    Lint({ request }: Lint, done: Done) {
      heard.push(`${request.service} ${request.text.length}`)
      if (request.service === 'wait') return void waiting.push(() => done(null, { errors: [] }))
      if (request.service === 'bad') return done({ code: 3, details: 'ünfit: 100 %' })
      done(null, { errors: ['x'.repeat(100_000)] })
    },
  })
  await new Promise(done => server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), done))
})
afterAll(() => server.forceShutdown())

function connected(closed: () => void = () => {}): Promise<AgentConnection> {
  return new Promise((resolve, reject) =>
    dialPath(path, {
      connected: wire =>
        resolve(agentConnection(wire, { codec: http2(clock), clock, userAgent: 'outrigger/test', closed })),
      failed: code => reject(new Error(code)),
    }),
  )
}

/** LintRequest { service = 1; text = 2 }. */
function lint(service: string, text = ''): Buffer {
  const field = (number: number, value: string) => {
    const bytes = Buffer.from(value)
    const length = [...varint(bytes.length)]
    return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes])
  }
  return Buffer.concat([field(1, service), ...(text === '' ? [] : [field(2, text)])])
}

function* varint(value: number): Generator<number> {
  for (; value > 127; value >>>= 7) yield (value & 127) | 128
  yield value
}

function called(connection: AgentConnection, message: Buffer): Promise<CallEnd> | null {
  const { promise, resolve } = Promise.withResolvers<CallEnd>()
  return connection.call(LINT, message, resolve) ? promise : null
}

test('a call gets its status, a long message is sent whole, and a long answer is passed over', async () => {
  const connection = await connected()
  expect(await called(connection, lint('long', 'y'.repeat(1_000_000)))).toMatchObject({ status: 0 })
  expect(heard).toContain('long 1000000')
  expect(await called(connection, lint('bad'))).toEqual({ status: 3, detail: 'ünfit: 100 %' })
  connection.close()
})

test('a method that the agent does not have is status 12', async () => {
  const connection = await connected()
  const end = await new Promise(resolve => connection.call('/no.Such/Method', Buffer.alloc(0), resolve))
  expect(end).toMatchObject({ status: 12 })
  connection.close()
})

test('no more than eight run at once, nor more than 2 MiB of them; an end makes room', async () => {
  const connection = await connected()
  const running = Array.from({ length: 9 }, () => called(connection, lint('wait')))
  expect(running.map(call => call !== null)).toEqual([...Array(8).fill(true), false])
  await expect.poll(() => waiting.length).toBe(8)
  for (const go of waiting.splice(0)) go()
  await Promise.all(running)
  const large = lint('wait', 'z'.repeat(1_500_000))
  const first = called(connection, large)
  expect(called(connection, large)).toBeNull()
  await expect.poll(() => waiting.length).toBe(1)
  waiting.pop()!()
  expect(await first).toMatchObject({ status: 0 })
  expect(await called(connection, lint('again'))).toMatchObject({ status: 0 })
  connection.close()
})

test('when the connection ends, each call that runs ends with 14, and no other begins', async () => {
  const connection = await connected()
  const running = called(connection, lint('wait'))
  await expect.poll(() => waiting.length).toBe(1)
  connection.close()
  expect(await running).toMatchObject({ status: 14 })
  expect(called(connection, lint('late'))).toBeNull()
})
