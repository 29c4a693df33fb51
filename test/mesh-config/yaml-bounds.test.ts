import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { readEndpointFile } from '../../mesh-config/endpoint-file.ts'
import { loadDocument } from '../../mesh-config/load.ts'
import { plain } from '../../mesh-config/located.ts'
import '../support/seed.ts'

const problemOf = (text: string) => loadDocument('f.yaml', text, {}).problems[0]

/** Each took a parser minutes, its stack, or gigabytes. */
const poison: Readonly<Record<string, string>> = {
  'open brackets': '['.repeat(5_000),
  'open braces': '{a: '.repeat(5_000),
  'closed brackets': `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  'lists on one line': `${'- '.repeat(5_000)}a`,
  'keys on one line': `${'? '.repeat(5_000)}a`,
  indentation: Array.from({ length: 3_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
}

describe('nested too deep', () => {
  test.each(Object.entries(poison))('%s', (_what, text) => {
    expect(problemOf(text)).toMatchObject({ message: expect.stringContaining('nested deeper than 64 levels') })
  })

  test('the place is that of the first value that is too deep', () => {
    expect(problemOf(`a: 1\nb: ${'['.repeat(100)}`)!.at).toEqual({ file: 'f.yaml', line: 2, column: 67 })
  })
})

test.each([
  ['flow', `[${Array.from({ length: 500 }, (_, i) => `{ a: ${i}, b: [1], c: { d: "[[[[{{{{" } }`).join(', ')}]`],
  ['items one after the other', '- - a\n  - b\n'.repeat(200)],
  ['texts full of brackets', '- "[[{{"\n'.repeat(200)],
  ['block scalars', '- a: |\n    - - - - [[[\n        [[[\n'.repeat(100)],
  ['comments', '# [[[ {{{ - - -\n- a\n'.repeat(200)],
])('what is long and not deep is read: %s', (_what, text) => {
  expect(problemOf(text)).toBeUndefined()
})

test('any value that is not deep is read, however it is written', () => {
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), tie('value'), { maxKeys: 4 }),
    ),
  }))
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), value), fc.constantFrom(0, 80), (map, lineWidth) => {
      const { root, problems } = loadDocument(
        'f.yaml',
        stringify(map, { lineWidth }).replaceAll('${', () => '$${'),
        {},
      )
      expect(problems.map(({ message }) => message).filter(message => /deeper|more than/.test(message))).toEqual([])
      if (root !== null && problems.length === 0) plain(root)
    }),
  )
})

describe('aliases', () => {
  test('of a name that is given again stand for the last one before them', () => {
    expect(plain(loadDocument('f', 'a: &x 1\nb: *x\nc: &x 2\nd: *x\n', {}).root!)).toEqual({ a: 1, b: 1, c: 2, d: 2 })
  })

  test('ten thousand are too many, and fewer are found in one go', () => {
    expect(problemOf(`- &a b\n${'- *a\n'.repeat(10_001)}`)).toMatchObject({
      message: 'more than 10000 aliases (*name): write the values out',
    })
    expect(problemOf(Array.from({ length: 3_000 }, (_, i) => `- &a${i} x\n- *a${i}\n`).join(''))).toBeUndefined()
  })
})

test('a file that is too large, and one with too many endpoints', () => {
  expect(problemOf('#'.repeat(8 * 1024 ** 2 + 1))).toMatchObject({ message: 'the file is larger than 8 MiB: split it' })
  expect(readEndpointFile('f', `[${'"a:1",'.repeat(50_001)}]`)).toMatchObject({
    ok: false,
    problems: ['f:1:1: more than 50000 endpoints: no service has so many'],
  })
})

test('thousands of mistakes: the first ones are explained', () => {
  const file = readEndpointFile('f', '- b\n'.repeat(5_000))
  expect(!file.ok && file.problems.length).toBe(50)
})
