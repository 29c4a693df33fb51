import { describe, expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import { minimal, readCases } from './read-cases.ts'

describe('warnings.md', () => {
  for (const { name, text, alone, expected } of readCases(new URL('warnings.md', import.meta.url))) {
    test(name, async () => {
      const loaded = await loadTexts([...(alone ? [] : [minimal]), { file: 'case.yaml', text }], {})
      expect(loaded).toMatchObject({ ok: true, warnings: expected })
    })
  }
})
