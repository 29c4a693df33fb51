import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as h2 from '../../../proxy/codec/h2/frame.ts'
import { cutAt } from '../../support/cuts.ts'
import { broken, readCorpus } from './fuzz.ts'
import {
  data,
  frame,
  get,
  headers,
  hello,
  literals,
  ping,
  post,
  requestFields,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from './support/frames.ts'
import { type Played, playCaller, playEndpoint } from './support/play.ts'
import '../../support/seed.ts'

const id = fc.constantFrom(0, 1, 2, 3, 5, 7, 9)
const text = fc.stringMatching(/^[a-z]{0,40}$/)
const bytes = fc.uint8Array({ maxLength: 40 }).map(raw => Buffer.from(raw))

const wellFormed = fc.oneof(
  id.map(one => get(one)),
  fc.tuple(id, text).map(([one, value]) => get(one, 'x', value)),
  id.map(one => post(one)),
  fc.tuple(id, fc.nat(60)).map(([one, length]) => post(one, 'content-length', `${length}`)),
  fc.tuple(id, text, fc.boolean()).map(([one, body, end]) => data(one, body, end)),
  fc.tuple(id, text).map(([one, value]) => headers(one, true, 'x-trailer', value)),
  fc.tuple(id, fc.nat(20)).map(([one, code]) => reset(one, code)),
  fc.tuple(id, fc.nat(1000)).map(([one, increment]) => windowUpdate(one, increment)),
  fc.tuple(fc.nat(9), fc.nat(70_000)).map(([name, value]) => settings(name, value)),
  fc.constantFrom(settingsAck, ping(), ping('abcdefgh', true)),
  fc
    .tuple(id, fc.nat(10), text)
    .map(([one, padding, body]) =>
      frame(h2.DATA, h2.PADDED, one, Buffer.concat([Buffer.from([padding]), Buffer.from(body), Buffer.alloc(padding)])),
    ),
  fc.tuple(id, fc.nat(30)).map(([one, cut]) => {
    const block = literals(...requestFields())
    return Buffer.concat([
      frame(h2.HEADERS, h2.END_STREAM, one, block.subarray(0, cut)),
      frame(h2.CONTINUATION, h2.END_HEADERS, one, block.subarray(cut)),
    ])
  }),
)
/**
 * No GOAWAY: with no stream open it closes the connection when the turn ends, so what comes in the same read is still
 * looked at.
 */
const type = fc.nat(12).filter(one => one !== h2.GOAWAY)
const anyFrame = fc
  .tuple(type, fc.nat(255), id, bytes)
  .map(([kind, flags, one, payload]) => frame(kind, flags, one, payload))
const answer = fc.oneof(
  fc
    .tuple(id, fc.constantFrom('100', '200', '204', '500', '20x'), fc.boolean())
    .map(([one, status, end]) => headers(one, end, ':status', status)),
  fc.tuple(id, fc.nat(60)).map(([one, length]) => headers(one, false, ':status', '200', 'content-length', `${length}`)),
  wellFormed,
)
const cuts = fc.array(fc.nat(1500), { maxLength: 30 })
const noise = fc.option(
  fc.tuple(
    fc.nat(1500),
    fc.nat(255).filter(byte => byte !== h2.GOAWAY),
  ),
  { freq: 2 },
)

function damaged(whole: Buffer, change: readonly [number, number] | null): Buffer {
  const copy = Buffer.from(whole)
  if (change !== null && copy.length !== 0) copy[change[0] % copy.length] = change[1]
  return copy
}

function same(one: Played, other: Played): void {
  expect(other.events).toEqual(one.events)
  expect(other.sent).toEqual(one.sent)
  expect(other.closing).toBe(one.closing)
}

test('what a caller sends is understood or refused alike however its bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 4, arbitrary: wellFormed }, anyFrame), { maxLength: 14 }),
      noise,
      cuts,
      fc.boolean(),
      (frames, change, places, end) => {
        const all = Buffer.concat([hello, damaged(Buffer.concat(frames), change)])
        same(playCaller([all], end), playCaller(cutAt(all, places), end))
      },
    ),
    { numRuns: 3000 },
  )
})

test('what an endpoint sends is understood or refused alike however its bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 4, arbitrary: answer }, anyFrame), { maxLength: 14 }),
      noise,
      cuts,
      fc.boolean(),
      (frames, change, places, end) => {
        const all = Buffer.concat([settings(), settingsAck, damaged(Buffer.concat(frames), change)])
        same(playEndpoint('GET', 3, [all], end), playEndpoint('GET', 3, cutAt(all, places), end))
      },
    ),
    { numRuns: 3000 },
  )
})

test('any bytes at all are refused alike however they are cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), cuts, fc.boolean(), (raw, places, greets) => {
      const all = Buffer.concat([...(greets ? [hello] : []), Buffer.from(raw)])
      same(playCaller([all], true), playCaller(cutAt(all, places), true))
    }),
    { numRuns: 1500 },
  )
})

test('the corpus: nothing throws, and each input means the same however it is cut', () => {
  const corpus = readCorpus()
  expect(corpus.length).toBeGreaterThan(60)
  for (const input of corpus)
    for (let at = 1; at < input.bytes.length; at += 7) expect(broken(input, [at, at + 3])).toBeNull()
})
