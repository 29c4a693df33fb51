import fc from 'fast-check'
import { expect, test } from 'vitest'
import { http1 } from '../../../proxy/codec/h1/codec.ts'
import { cutAt } from '../../support/cuts.ts'
import { damage, request, response } from '../../support/messages.ts'
import { playRequests, playResponse } from '../../support/recorder.ts'
import '../../support/seed.ts'

const cuts = fc.array(fc.nat(2000), { maxLength: 30 })
const latin1 = (text: string) => Buffer.from(text, 'latin1')

test('pipelined requests give the same events however their bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 4 }), cuts, (requests, places) => {
      const bytes = latin1(requests.map(one => one.bytes).join(''))
      const whole = playRequests(http1, [bytes], false)
      expect(playRequests(http1, cutAt(bytes, places), false).events).toEqual(whole.events)
      const expected = requests.flatMap(({ method, target, fields, body }) => [
        `request ${method} orders ${target}`,
        ...fields.map(({ name, value }) => `${name}: ${value}`),
        ...(body.data === ''
          ? []
          : [body.data.length > 200 ? `data ${body.data.length} bytes` : `data ${JSON.stringify(body.data)}`]),
        ...body.trailers.map(({ name, value }) => `trailer ${name}: ${value}`),
        'end',
      ])
      expect(whole.events).toEqual(expected)
    }),
    { numRuns: 400 },
  )
})

test('a response gives the same events however its bytes are cut', () => {
  fc.assert(
    fc.property(response, cuts, (one, places) => {
      const bytes = latin1(one.bytes)
      const whole = playResponse(http1, 'GET', [bytes], true)
      expect(playResponse(http1, 'GET', cutAt(bytes, places), true).events).toEqual(whole.events)
      expect(whole.events).toEqual([
        `response ${one.status}`,
        ...one.fields.map(({ name, value }) => `${name}: ${value}`),
        ...(one.body.data === ''
          ? []
          : [
              one.body.data.length > 200
                ? `data ${one.body.data.length} bytes`
                : `data ${JSON.stringify(one.body.data)}`,
            ]),
        ...one.body.trailers.map(({ name, value }) => `trailer ${name}: ${value}`),
        'end',
        ...(one.close ? ['closed'] : ['reusable', 'closed']),
      ])
    }),
    { numRuns: 400 },
  )
})

test('damaged requests are understood or refused alike however their bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), damage, cuts, (requests, hurt, places) => {
      const bytes = latin1(hurt(requests.map(one => one.bytes).join('')))
      expect(playRequests(http1, cutAt(bytes, places), false).events).toEqual(
        playRequests(http1, [bytes], false).events,
      )
    }),
    { numRuns: 2000 },
  )
})

test('damaged responses are understood or refused alike however their bytes are cut', () => {
  fc.assert(
    fc.property(response, damage, cuts, (one, hurt, places) => {
      const bytes = latin1(hurt(one.bytes))
      expect(playResponse(http1, 'GET', cutAt(bytes, places), true).events).toEqual(
        playResponse(http1, 'GET', [bytes], true).events,
      )
    }),
    { numRuns: 2000 },
  )
})

test('any bytes at all are understood or refused alike however they are cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), cuts, fc.boolean(), (raw, places, end) => {
      const bytes = Buffer.from(raw)
      expect(playRequests(http1, cutAt(bytes, places), end).events).toEqual(playRequests(http1, [bytes], end).events)
      expect(playResponse(http1, 'GET', cutAt(bytes, places), end).events).toEqual(
        playResponse(http1, 'GET', [bytes], end).events,
      )
    }),
    { numRuns: 1000 },
  )
})
