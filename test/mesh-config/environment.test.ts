import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { resolvePlain, shield, substitute, unshield } from '../../mesh-config/environment.ts'

const env = { HOST: 'orders', EMPTY: '', LOOP: '${HOST}', PORT: '80' }

describe('substitute', () => {
  test.each([
    ['plain $5 text', 'plain $5 text'],
    ['${HOST}:${PORT}', 'orders:80'],
    ['${EMPTY}', ''],
    ['${EMPTY:-fallback}', 'fallback'],
    ['${NONE:-fallback}', 'fallback'],
    ['${NONE:-}', ''],
    ['${NONE:-a:b c}', 'a:b c'],
    ['$${HOST}', '${HOST}'],
    ['${LOOP}', '${HOST}'],
  ])('%s gives %s', (text, result) => {
    expect(substitute(text, env)).toMatchObject({ text: result, errors: [] })
  })

  test.each(['${NONE}', '${}', '${a-b}', '${1A}', '${HOST', '${HOST:+x}'])(
    '%s is an error that says what to write',
    text => {
      const { errors } = substitute(text, env)
      expect(errors).toHaveLength(1)
      expect(errors[0]).toMatch(/set it, or write|write \$\{NAME\}/)
    },
  )

  test('knows whether anything came from outside', () => {
    expect(substitute('$${HOST} and $', env).fromEnvironment).toBe(false)
    expect(substitute('${HOST}', env).fromEnvironment).toBe(true)
  })

  test('leaves every text without ${ as it is', () => {
    fc.assert(fc.property(fc.string(), text => text.includes('${') || substitute(text, env).text === text))
  })
})

test('an unquoted value from outside is read as if it stood in the file', () => {
  expect(['5', '1.5', '-2', 'true', 'false', '', 'null', '1s', '127.0.0.1', '1e3'].map(resolvePlain)).toEqual([
    5,
    1.5,
    -2,
    true,
    false,
    null,
    null,
    '1s',
    '127.0.0.1',
    1000,
  ])
})

describe('shield', () => {
  test('gives back every text as it was, at the same places', () => {
    const piece = fc.constantFrom(
      '${A}',
      '${B:-[1], {2',
      '}',
      '{',
      '$${',
      '$',
      '"',
      "'",
      ',',
      ' ',
      'a',
      '\n',
      '\ue000',
      '\ue003',
    )
    fc.assert(
      fc.property(
        fc.array(piece).map(pieces => pieces.join('')),
        text => {
          const shielded = shield(text)
          expect(shielded).toHaveLength(text.length)
          if (shielded !== text) expect(unshield(shielded)).toBe(text)
        },
      ),
    )
  })
})
