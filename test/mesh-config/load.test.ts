import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadDocument } from '../../mesh-config/load.ts'
import {
  formatProblem,
  keyPosition,
  type Located,
  merge,
  nodeAt,
  type Path,
  plain,
  positionAt,
  sortProblems,
} from '../../mesh-config/located.ts'

function load(text: string, env: Record<string, string> = {}, file = 'a.yaml'): Located {
  const { root, problems } = loadDocument(file, text, env)
  expect(problems.map(formatProblem)).toEqual([])
  return root!
}

function place(root: Located, path: Path): string {
  const { file, line, column } = positionAt(root, path)
  return `${file}:${line}:${column}`
}

describe('a YAML file', () => {
  test('becomes values that know where they were written', () => {
    const root = load('a:\n  - b: 1\n    c: [x, "y"]\n')
    expect(plain(root)).toEqual({ a: [{ b: 1, c: ['x', 'y'] }] })
    expect(place(root, ['a', 0, 'b'])).toBe('a.yaml:2:8')
    expect(place(root, ['a', 0, 'c', 1])).toBe('a.yaml:3:12')
    expect(keyPosition(root, ['a', 0, 'c'])).toMatchObject({ line: 3, column: 5 })
  })

  test('points at what is around, for what is not there', () => {
    const root = load('a:\n  - b: {}\n')
    expect(place(root, ['a', 0, 'b', 'c', 'd'])).toBe('a.yaml:2:5')
    expect(place(root, ['a', 7])).toBe('a.yaml:1:1')
    expect(place(root, ['z'])).toBe('a.yaml:1:1')
  })

  test('may be JSON, have Windows line ends, a byte order mark, or nothing in it', () => {
    expect(plain(load('{"a": {"b": [1, true]}}'))).toEqual({ a: { b: [1, true] } })
    expect(plain(load('\uFEFFa: 1\r\nb: 2\r\n'))).toEqual({ a: 1, b: 2 })
    expect(plain(load(''))).toEqual({})
    expect(plain(load('# only a comment\n'))).toEqual({})
  })

  test('keeps off and on as words, as YAML 1.2 has it', () => {
    expect(plain(load('a: off\nb: on\nc: yes\nd: true\n'))).toEqual({ a: 'off', b: 'on', c: 'yes', d: true })
  })

  test('takes an empty value of a map as not written, and keeps that of a list', () => {
    expect(plain(load('a:\nb: ~\nc: [1, null]\n'))).toEqual({ c: [1, null] })
  })

  test('unfolds anchors, aliases and merge keys', () => {
    const root = load(
      'base: &b { x: 1, y: 2 }\nother: &o { y: 3, z: 4 }\none: { <<: *b, y: 9 }\ntwo: { <<: [*b, *o] }\nsame: *b\n',
    )
    expect(plain(root)).toMatchObject({ one: { x: 1, y: 9 }, two: { x: 1, y: 2, z: 4 }, same: { x: 1, y: 2 } })
  })

  test('cannot be a bomb of aliases', () => {
    const bomb = [
      'a0: &a0 [x]',
      ...Array.from(
        { length: 9 },
        (_, level) => `a${level + 1}: &a${level + 1} [${Array(9).fill(`*a${level}`).join(', ')}]`,
      ),
    ].join('\n')
    const { problems } = loadDocument('a.yaml', bomb, {})
    expect(problems).toHaveLength(1)
    expect(problems[0]!.message).toMatch(/too many values/)
    expect(loadDocument('a.yaml', 'a: &a [*a]\n', {}).problems[0]!.message).toMatch(/too many values/)
  })

  test('refuses a key that would change what an object is', () => {
    expect(loadDocument('a.yaml', '__proto__: { polluted: true }\n', {}).problems.map(formatProblem)).toEqual([
      'a.yaml:1:1: __proto__ cannot be a key: choose another name',
    ])
    expect(plain(load('constructor: 1\ntoString: 2\n'))).toEqual({ constructor: 1, toString: 2 })
  })

  test('takes values from the environment: unquoted ones as if written there, quoted ones as text', () => {
    const root = load('a: ${N}\nb: "${N}"\nc: x${N}\nd: ${NONE:-off}\n', { N: '5' })
    expect(plain(root)).toEqual({ a: 5, b: '5', c: 'x5', d: 'off' })
    expect(nodeAt(root, ['a'])).toMatchObject({ written: '${N}' })
    expect(plain(load('a: ${N}\n', { N: 'x: { y: 1 }' }))).toEqual({ a: 'x: { y: 1 }' })
  })

  test('never makes the loader throw', () => {
    const piece = fc.constantFrom(
      'a',
      ':',
      ' ',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
      '&x',
      '*x',
      '<<',
      '#',
      '|',
      '>',
      '?',
      '!t',
      '%',
      '---',
      '\t',
      '1',
      '~',
      '${',
      '}',
      '\u0000',
      '…',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(piece, { maxLength: 40 }).map(pieces => pieces.join('')),
        ),
        text => {
          const { root, problems } = loadDocument('a.yaml', text, { a: '1' })
          expect(root !== null || problems.length > 0).toBe(true)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('several files', () => {
  test('are put together key by key, lists and single values whole, the later one winning', () => {
    const first = load('a: { b: 1, c: 2 }\nlist: [1, 2]\nonly: here\n')
    const second = load('a: { c: 3 }\nlist: [9]\n', {}, 'b.yaml')
    const root = merge(first, second)
    expect(plain(root)).toEqual({ a: { b: 1, c: 3 }, list: [9], only: 'here' })
    expect(place(root, ['a', 'b'])).toBe('a.yaml:1:9')
    expect(place(root, ['a', 'c'])).toBe('b.yaml:1:9')
  })

  test('a later empty value puts the default back', () => {
    expect(plain(merge(load('admin: off\nworkers: 2\n'), load('admin:\n')))).toEqual({ workers: 2 })
  })

  test('merging is associative: only the order of the files counts, not how many there are', () => {
    const key = fc.constantFrom('a', 'b', 'c')
    const file = fc.dictionary(
      key,
      fc.dictionary(key, fc.oneof(fc.nat(9), fc.array(fc.nat(9), { maxLength: 2 }), fc.constant(null))),
    )
    fc.assert(
      fc.property(file, file, file, (...values) => {
        const [a, b, c] = values.map(value => load(JSON.stringify(value))) as [Located, Located, Located]
        expect(plain(merge(merge(a, b), c))).toEqual(plain(merge(a, merge(b, c))))
      }),
    )
  })
})

test('problems come in the order of the files and of their lines, each once', () => {
  const at = (file: string, line: number, column: number) => ({ at: { file, line, column }, file, message: 'x' })
  const sorted = sortProblems(
    [
      at('b', 1, 1),
      at('a', 10, 2),
      at('a', 9, 5),
      at('a', 10, 1),
      at('a', 9, 5),
      { at: null, file: 'a', message: 'y' },
    ],
    ['a', 'b'],
  )
  expect(sorted.map(formatProblem)).toEqual(['a: y', 'a:9:5: x', 'a:10:1: x', 'a:10:2: x', 'b:1:1: x'])
})
