import type { ServiceDefinition } from '@grpc/grpc-js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { grpcService } from '../../agent/sync/protos.ts'
import { ProtoWriter } from '../../proxy/core/protobuf.ts'
import {
  headOfUpdate,
  readFromAgent,
  writeAnswer,
  writeHello,
  writeSubscribe,
  writeSummary,
} from '../../proxy/sync/messages.ts'

/** The library that the agent reads and writes them with, over the same protos. */
const { Follow } = grpcService('Sync').service as ServiceDefinition
const heardBy = (write: (writer: ProtoWriter) => void): Record<string, unknown> => {
  const writer = new ProtoWriter(16, 1024 * 1024)
  write(writer)
  return Follow!.requestDeserialize(writer.copy()) as Record<string, unknown>
}
const sent = (message: object) => readFromAgent(Follow!.responseSerialize(message))

describe('what the proxy writes is what the agent reads', () => {
  test('hello', () => {
    const hello = {
      formats: [1, 300],
      proxy: 'host/web/80',
      service: 'web',
      version: '1.2.3',
      host: 'höst',
      zone: '',
      pid: 70_000,
      admin: '127.0.0.1:15000',
      config: 'abc',
    }
    expect(heardBy(writer => writeHello(writer, hello)).hello).toEqual(hello)
  })

  test('a subscription, however long its parts are', () => {
    const services = [
      { service: 'a', own: '', have: '' },
      { service: 'b', own: `{"policy":"${'x'.repeat(40_000)}"}`, have: 'v1' },
    ]
    const { subscribe } = heardBy(writer => writeSubscribe(writer, services))
    const heard = (subscribe as { services: { service: string; own: Buffer; have: string }[] }).services
    expect(heard.map(each => ({ ...each, own: each.own.toString() }))).toEqual(services)
  })

  test('an answer, and a summary that is encoded already', () => {
    expect(heardBy(writer => writeAnswer(writer, 'a', 'v1', ['one', 'two'])).answer).toEqual({
      service: 'a',
      version: 'v1',
      reasons: ['one', 'two'],
    })
    const { summary } = heardBy(writer => writeSummary(writer, Buffer.from('0801', 'hex')))
    expect((summary as { at_ms?: number; atMs?: number }).atMs ?? (summary as { at_ms: number }).at_ms).toBe(1)
  })
})

describe('what the agent writes is what the proxy reads', () => {
  test('welcome, update and refusal', () => {
    const welcome = { format: 1, agent: 'host', version: '2' }
    expect(sent({ welcome })).toEqual({ kind: 'welcome', welcome })
    expect(sent({ refusal: { reason: 'too old' } })).toEqual({ kind: 'refusal', reason: 'too old' })
    const update = { service: 'a', version: 'v', unchanged: true, warnings: ['w'] }
    const texts = { spec: '{"ä":1}', provenance: '{}', discovery: '' }
    const bytes = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text)]))
    expect(sent({ update: { ...update, ...bytes } })).toEqual({ kind: 'update', update: { ...update, ...texts } })
  })

  test('fields and messages of a later version are passed over', () => {
    expect(readFromAgent(Buffer.from('7a020801', 'hex'))).toEqual({ kind: 'unknown' })
  })
})

describe('a hostile agent', () => {
  test('any bytes give a message or a reason, and no error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        const read = readFromAgent(bytes)
        expect(typeof read === 'string' ? read !== '' : read.kind).toBeTruthy()
        headOfUpdate(bytes)
      }),
    )
  })

  test('a real message with one byte changed, or cut short, gives a message or a reason', () => {
    const whole = Follow!.responseSerialize({
      update: { service: 'orders', version: 'v1', spec: Buffer.from('{"name":"orders"}'), warnings: ['a'] },
    })
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
        const bytes = Buffer.from(whole.subarray(0, length))
        if (at < length) bytes[at] = byte
        readFromAgent(bytes)
      }),
    )
  })

  test('a name that is too long is refused', () => {
    expect(sent({ update: { service: 'x'.repeat(2_000), version: 'v' } })).toMatch(/^a text of 2000 bytes/)
  })

  test('of a message that is too long its beginning says which update it is', () => {
    const whole = Follow!.responseSerialize({ update: { service: 'a', version: 'v', spec: Buffer.alloc(9_000, 'x') } })
    expect(headOfUpdate(whole.subarray(0, 4096))).toEqual({ service: 'a', version: 'v' })
    expect(headOfUpdate(Follow!.responseSerialize({ refusal: { reason: 'r' } }))).toBeNull()
  })
})
