import { describe, expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import { minimal, readCases } from './read-cases.ts'

const env = { PORT: '80x', TOKEN: 's3cr3t', EMPTY: '', COUNT: '2', YES: 'true' }

describe('errors.md', () => {
  for (const { name, text, alone, expected } of readCases(new URL('errors.md', import.meta.url))) {
    test(name, async () => {
      const loaded = await loadTexts([...(alone ? [] : [minimal]), { file: 'case.yaml', text }], env)
      expect(loaded.ok ? [] : loaded.errors).toEqual(expected)
      expect(expected.length).toBeGreaterThan(0)
    })
  }
})
