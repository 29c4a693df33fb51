import { expect, test } from 'vitest'
import { lowerCase } from '../../proxy/core/lower-case.ts'

test('any name, asked once or often, and more of them than are remembered', () => {
  for (let i = 0; i < 600; i++) {
    for (let again = 0; again < 2; again++) {
      expect(lowerCase(`X-Name-${i}`)).toBe(`x-name-${i}`)
      expect(lowerCase(`x-name-${i}`)).toBe(`x-name-${i}`)
    }
  }
})
