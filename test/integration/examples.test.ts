import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { node, root, run } from './support/child.ts'
import { outrigger } from './support/proxy.ts'

const examples = ['minimal', 'canary', 'retries']
const RUN_MS = 60_000

describe.each(examples)('examples/%s', name => {
  const folder = join('examples', name)

  test(
    'runs with its one command, and does what its README says',
    async () => {
      const { code, out, err } = await run(node, [join(folder, 'main.ts'), '--once'], {
        OUTRIGGER_EXAMPLE_SHIFT: String(2_000 + Math.floor(Math.random() * 90) * 100),
      })
      expect({ code, err }, out).toEqual({ code: 0, err: '' })
      expect(out).toContain(`proxy -c ${folder}/sidecar.yaml`)
      expect(readFileSync(join(root, folder, 'README.md'), 'utf8')).toContain(`node ${folder}/main.ts`)
    },
    RUN_MS,
  )

  test('has a sidecar file without mistakes or warnings', async () => {
    const { code, out, err } = await run(node, [outrigger, 'config', 'check', join(folder, 'sidecar.yaml')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^good /)
    expect(out).not.toContain('warning')
  })
})
