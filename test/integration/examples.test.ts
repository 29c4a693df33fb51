import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { node, root, run } from './support/child.ts'
import { applicationPath } from './support/machine.ts'
import { isFree } from './support/ports.ts'
import { outrigger } from './support/proxy.ts'
import { until } from './support/until.ts'

/** With the command that each shows. */
const examples = [
  ['minimal', 'proxy'],
  ['canary', 'proxy'],
  ['retries', 'proxy'],
  ['job', 'run'],
] as const
/** How far the ports of an example are to be moved so that nobody listens on any of them. */
async function freeShift(folder: string): Promise<number> {
  const text = readFileSync(join(root, folder, 'sidecar.yaml'), 'utf8')
  const ports = [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))
  return await until('free ports', async () => {
    const shift = 2_000 + Math.floor(Math.random() * 90) * 100
    return (await Promise.all(ports.map(port => isFree(port + shift)))).every(Boolean) && shift
  })
}

const RUN_MS = 300_000

describe.each(examples)('examples/%s', (name, command) => {
  const folder = join('examples', name)

  test(
    'runs with its one command, and does what its README says',
    async () => {
      const shift = await freeShift(folder)
      const { code, out, err } = await run(node, [join(folder, 'main.ts'), '--once'], {
        // Of applications, which start what they like.
        PATH: applicationPath,
        OUTRIGGER_EXAMPLE_SHIFT: String(shift),
      })
      expect({ code, err }, out).toEqual({ code: 0, err: '' })
      expect(out).toContain(`${command} -c ${folder}/sidecar.yaml`)
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
