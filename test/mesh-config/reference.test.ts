import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import { configurationReference } from '../../mesh-config/reference.ts'

test('docs/configuration.md is what the schema says (npm run docs writes it)', async () => {
  await expect(configurationReference()).toMatchFileSnapshot('../../docs/configuration.md')
})

test('its examples are good, without a warning', async () => {
  const examples = [...configurationReference().matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!)
  expect(examples).toHaveLength(2)
  for (const text of examples)
    expect(await loadTexts([{ file: 'example.yaml', text }], {})).toMatchObject({ ok: true, warnings: [] })
})

test('examples/minimal is good, without a warning', async () => {
  const text = readFileSync(new URL('../../examples/minimal/sidecar.yaml', import.meta.url), 'utf8')
  expect(await loadTexts([{ file: 'sidecar.yaml', text }], {})).toMatchObject({ ok: true, warnings: [] })
})

test('every setting is in it, with its default', () => {
  const text = configurationReference()
  for (const row of [
    '| `request` | duration | `15s` |',
    '| `headBytes` | size from 1KiB to 16MiB | `60KiB` |',
    '| `delay` | duration | `5s` |',
    '| `admin` | address or `off` | `127.0.0.1:15000` |',
  ])
    expect(text).toContain(row)
})
