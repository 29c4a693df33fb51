// `node test/codec/h2/fuzz.ts [seconds] [seed]`: changes the inputs of corpus.txt at random, plays them to both sides
// of the codec, and prints what breaks a promise: nothing throws, and the bytes mean the same however they are cut.
// What it prints belongs into corpus.txt, which split.test.ts replays.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FRAME_HEADER, GOAWAY } from '../../../proxy/codec/h2/frame.ts'
import { PREFACE } from '../../../proxy/codec/h2/preface.ts'
import { cutAt } from '../../support/cuts.ts'
import { between, seeded } from '../../support/random.ts'
import { playCaller, playEndpoint } from './support/play.ts'

export interface Input {
  readonly to: 'caller' | 'endpoint'
  readonly bytes: Buffer
}

export function readCorpus(): Input[] {
  return readFileSync(join(import.meta.dirname, 'corpus.txt'), 'utf8')
    .split('\n')
    .filter(line => /^(caller|endpoint) /.test(line))
    .map(line => ({
      to: line.startsWith('caller') ? 'caller' : 'endpoint',
      bytes: Buffer.from(line.slice(line.indexOf(' ') + 1), 'hex'),
    }))
}

/** Null: all promises are kept. */
export function broken({ to, bytes }: Input, places: readonly number[]): string | null {
  const play = (chunks: readonly Buffer[]) =>
    to === 'caller' ? playCaller(chunks, true) : playEndpoint('GET', 3, chunks, true)
  try {
    const whole = play([bytes])
    const cut = play(cutAt(bytes, places))
    // With GOAWAY the rest of a read is still looked at, and that of the next one is not.
    if (hasGoaway(to, bytes)) return null
    for (const part of ['events', 'sent'] as const) {
      if (whole[part].join('\n') !== cut[part].join('\n')) return `${part} differ when cut at ${places.join(' ')}`
    }
    return null
  } catch (error) {
    return (error as Error).stack ?? String(error)
  }
}

function hasGoaway(to: Input['to'], bytes: Buffer): boolean {
  for (
    let at = to === 'caller' ? PREFACE.length : 0;
    at + FRAME_HEADER <= bytes.length;
    at += FRAME_HEADER + bytes.readUIntBE(at, 3)
  )
    if (bytes[at + 3] === GOAWAY) return true
  return false
}

function changed(bytes: Buffer, other: Buffer, random: () => number): Buffer {
  const copy = Buffer.from(bytes)
  const at = between(random, 0, copy.length - 1)
  switch (between(random, 0, 4)) {
    case 0:
      copy[at] = between(random, 0, 255)
      return copy
    case 1:
      copy[at] = copy[at]! ^ (1 << between(random, 0, 7))
      return copy
    case 2:
      return copy.subarray(0, at)
    case 3:
      return Buffer.concat([copy.subarray(0, at), other.subarray(between(random, 0, other.length - 1))])
    default:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(between(random, 0, at))])
  }
}

if (import.meta.main) {
  const seconds = Number(process.argv[2] ?? 10)
  const random = seeded(Number(process.argv[3] ?? Date.now()))
  const corpus = readCorpus()
  const until = Date.now() + seconds * 1000
  let count = 0
  while (Date.now() < until) {
    const { to, bytes } = corpus[between(random, 0, corpus.length - 1)]!
    const others = corpus.filter(input => input.to === to)
    let input = bytes
    for (let n = between(random, 1, 4); n > 0 && input.length > 1; n--)
      input = changed(input, others[between(random, 0, others.length - 1)]!.bytes, random)
    const places = Array.from({ length: between(random, 1, 8) }, () => between(random, 1, input.length))
    const what = broken({ to, bytes: input }, places)
    count++
    if (what !== null) console.log(`# ${what.replace(/\n/g, ' | ')}\n${to} ${input.toString('hex')}`)
  }
  console.error(`${count} inputs`)
}
