import { describe, expect, test } from 'vitest'
import { http1 } from '../../proxy/codec/h1/codec.ts'
import { cuttings } from '../support/cuts.ts'
import { playRequests, playResponse, type Recording } from '../support/recorder.ts'
import { type ConformanceCase, readCases } from './read-cases.ts'

const cases = readCases()

function play({ kind, method, end, limits }: ConformanceCase, chunks: readonly Buffer[]): Recording {
  return kind === 'request'
    ? playRequests(http1, chunks, end, limits)
    : playResponse(http1, method, chunks, end, limits)
}

describe.each([...new Set(cases.map(({ file }) => file))])('%s', file => {
  test.each(cases.filter(found => found.file === file).map(found => [found.title, found] as const))(
    '%s',
    (_title, example) => {
      const expected = example.events.join('\n')
      for (const { name, chunks } of cuttings(example.bytes)) {
        const { events, closing, written } = play(example, chunks)
        expect(events.join('\n'), name).toBe(expected)
        if (example.kind === 'response' || !/^(refused|reset)/m.test(expected)) continue
        // A refusal is an answer that says so, and the end of the connection.
        expect(closing, name).not.toBe('')
        if (example.end) continue
        const status = /^(?:refused|reset) (\d+)/m.exec(expected)![1]!
        expect(written, name).toMatch(new RegExp(`HTTP/1\\.1 ${status} [^]*\\r\\nconnection: close\\r\\n`))
      }
    },
  )
})

test('no two cases of a file have the same title', () => {
  const titles = cases.map(({ file, title }) => `${file}: ${title}`)
  expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([])
})
