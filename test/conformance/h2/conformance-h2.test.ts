import { describe, expect, test } from 'vitest'
import { type Played, playCaller, playEndpoint } from '../../codec/h2/support/play.ts'
import { cuttings } from '../../support/cuts.ts'
import { type FrameCase, readFrameCases } from './read-frames.ts'

const cases = readFrameCases()

function play({ kind, method, count, end, limits }: FrameCase, chunks: readonly Buffer[]): Played {
  return kind === 'caller' ? playCaller(chunks, end, limits, limits) : playEndpoint(method, count, chunks, end, limits)
}

function lines({ events, sent }: Played): string {
  return [...events, ...sent.map(line => `sent ${line}`)].join('\n')
}

describe.each([...new Set(cases.map(({ file }) => file))])('%s', file => {
  test.each(cases.filter(found => found.file === file).map(found => [found.title, found] as const))(
    '%s',
    (_title, example) => {
      const expected = example.events.join('\n')
      for (const { name, chunks } of cuttings(example.bytes)) {
        const played = play(example, chunks)
        expect(lines(played), name).toBe(expected)
        // An error of the connection is its end.
        if (/^sent GOAWAY \d+ (?!NO_ERROR)/m.test(expected)) expect(played.closing, name).not.toBe('')
      }
    },
  )
})

test('no two cases of a file have the same title', () => {
  const titles = cases.map(({ file, title }) => `${file}: ${title}`)
  expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([])
})
