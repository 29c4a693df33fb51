import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nearest, typingErrors } from '../../mesh-config/nearest.ts'

const keys = ['service', 'services', 'inbound', 'outbound', 'timeouts', 'limits', 'to', 'on']

describe('nearest', () => {
  test.each([
    ['servce', 'service'],
    ['timeout', 'timeouts'],
    ['TimeOuts', 'timeouts'],
    ['outbuond', 'outbound'],
    ['limit', 'limits'],
    ['ot', 'to'],
  ])('%s is probably %s', (word, meant) => {
    expect(nearest(word, keys)).toBe(meant)
  })

  test.each(['clusters', 'x', 'listeners', ''])('%j is none of them', word => {
    expect(nearest(word, keys)).toBeNull()
  })

  test('typing errors are counted: none for the same word, as many for both directions, never more than the longer word has letters', () => {
    const word = fc.stringMatching(/^[a-d]{0,6}$/)
    fc.assert(
      fc.property(word, word, (a, b) => {
        const errors = typingErrors(a, b)
        expect(errors === 0).toBe(a === b)
        expect(errors).toBe(typingErrors(b, a))
        expect(errors).toBeLessThanOrEqual(Math.max(a.length, b.length))
        expect(errors).toBeGreaterThanOrEqual(Math.abs(a.length - b.length))
      }),
    )
    expect(typingErrors('kitten', 'sitting')).toBe(3)
    expect(typingErrors('ab', 'ba')).toBe(1)
  })
})
