import { describe, expect, test } from 'vitest'
import { loadDevFile } from '../../mesh-config/dev/load-dev-file.ts'
import { publishedSchema } from '../../mesh-config/schema.ts'
import { readCases } from './read-cases.ts'

describe('dev-file.md', () => {
  for (const { name, text, expected } of readCases(new URL('dev-file.md', import.meta.url))) {
    test(name, () => {
      const loaded = loadDevFile('dev.yaml', text, {})
      expect(loaded.ok ? [] : loaded.errors).toEqual(expected)
      expect(expected.length).toBeGreaterThan(0)
    })
  }
})

test('a good file: defaults are filled in, variables are as written, a policy is passed on as it is', () => {
  const text = `
services:
  web: { command: node web.js, env: { A: 1.10, B: yes, C: true, D: "x y" }, policy: { timeouts: { request: 2s } } }
traces: { export: http://127.0.0.1:4318 }
`
  const loaded = loadDevFile('dev.yaml', text, {})
  expect(loaded).toMatchObject({ ok: true })
  if (!loaded.ok) return
  expect(loaded.dev).toEqual({
    services: [
      {
        name: 'web',
        command: 'node web.js',
        folder: '.',
        protocol: 'http',
        instances: 1,
        depends: [],
        env: { A: '1.10', B: 'yes', C: 'true', D: 'x y' },
        policy: { timeouts: { request: '2s' } },
      },
    ],
    policies: 'policies',
    traces: { export: 'http://127.0.0.1:4318', sample: 100 },
    propagate: true,
  })
})

test('its JSON Schema says every key', () => {
  const { properties } = publishedSchema('dev') as { properties: Record<string, { description?: string }> }
  expect(Object.keys(properties)).toEqual(['services', 'policies', 'traces', 'propagate'])
  for (const [key, { description }] of Object.entries(properties)) expect(description, key).toMatch(/\w/)
})
