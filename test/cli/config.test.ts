import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { addConfigCommand, type ConfigSurroundings } from '../../cli/config.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const folder = temporaryFolder()
const esc = String.fromCharCode(27)

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

async function run(
  args: readonly string[],
  { env = {}, isTTY = false }: { env?: Record<string, string>; isTTY?: boolean } = {},
) {
  const [out, err]: [string[], string[]] = [[], []]
  const surroundings: ConfigSurroundings = {
    stdout: { isTTY, write: text => out.push(text) },
    stderr: { isTTY, write: text => err.push(text) },
    env,
  }
  const program = new Command('outrigger').exitOverride()
  addConfigCommand(program, surroundings)
  await program.parseAsync(['config', ...args], { from: 'user' })
  const written = (pieces: string[]) => pieces.join('').replaceAll(`${folder}/`, '')
  return { out: written(out), err: written(err), exitCode: surroundings.exitCode ?? 0 }
}

const good = file(
  'good.yaml',
  `service: web
inbound: [{ listen: 127.0.0.1:20000, forward: 127.0.0.1:3000 }]
outbound:
  - listen: 127.0.0.1:15001
  - { listen: 127.0.0.1:9101, service: orders }
discovery: { endpoints: { orders: [127.0.0.1:9001, 127.0.0.1:9002], stock: [127.0.0.1:9003] } }
`,
)
const bad = file('bad.yaml', 'servce: web\nworkers: none\n')
const odd = file('odd.yaml', 'services: { orders: { timeouts: { perTry: 20s } } }\n')

describe('outrigger config check', () => {
  test('tells in short what good files make', async () => {
    expect(await run(['check', '-c', good])).toEqual({
      exitCode: 0,
      err: '',
      out: `good good.yaml

listeners
  inbound   127.0.0.1:20000  -> 127.0.0.1:3000
  outbound  127.0.0.1:15001  -> any service, by Host
  outbound  127.0.0.1:9101   -> orders
services
  orders  2 endpoints  least_request  1 route  request 15s  2 tries
  stock   1 endpoint   least_request  1 route  request 15s  2 tries
sidecar
  service     web
  admin       127.0.0.1:15000
  workers     1
  access log  errors
  version     ${(await run(['check', good])).out.slice(-13, -1)}
`,
    })
  })

  test('tells where endpoints will come from, and what is registered', async () => {
    const sources = file(
      'sources.yaml',
      'discovery: { consul: { services: { stock: {} } }, dns: { cart: "cart.internal:80" }, files: { cart: c.json } }\nregister: { id: web-1 }\noutbound: [{ listen: "127.0.0.1:9102", service: pay }]\n',
    )
    const { out, exitCode } = await run(['check', good, sources])
    expect(exitCode).toBe(0)
    for (const line of ['stock   1 endpoint + consul ', 'cart    c.json + dns cart.internal ', 'pay     consul '])
      expect(out).toContain(`\n  ${line}`)
    expect(out).toContain('\n  consul      http://127.0.0.1:8500, other services on demand\n')
    expect(out).toContain('\n  registers   web at port 20000, as web-1\n')
  })

  test('tells where redirected connections go, and what is registered without an id', async () => {
    const redirected = file(
      'redirected.yaml',
      'inbound: [{ listen: 0.0.0.0:15006, transparent: true }]\noutbound: [{ listen: 127.0.0.1:15001, transparent: true }]\nservice: web\ndiscovery: { consul: {} }\nregister: { port: 8080 }\n',
    )
    const { out } = await run(['check', redirected])
    expect(out).toContain(`
listeners
  inbound   0.0.0.0:15006    -> the port that each redirected connection was made to
  outbound  127.0.0.1:15001  -> by name, then by the address that each redirected connection was made to; others: passed through
sidecar
`)
    expect(out).toContain('\n  registers   web at port 8080\n')
  })

  test('tells every error on stderr and exits with 2', async () => {
    const { out, err, exitCode } = await run(['check', '-c', good, '-c', bad])
    expect({ out, exitCode }).toEqual({ out: '', exitCode: 2 })
    expect(err).toBe(
      'bad.yaml:1:1: unknown key "servce": did you mean "service"?\nbad.yaml:2:10: workers: "none" is not a number: write a number from 1 to 256\n2 errors\n',
    )
  })

  test('tells warnings and goes on, unless they are to be taken for errors', async () => {
    const { out, err, exitCode } = await run(['check', good, odd])
    expect(exitCode).toBe(0)
    expect(err).toMatch(/^warning: odd\.yaml:1:43: perTry 20s is not shorter than request 15s.*\n$/)
    expect(out).toMatch(/^good good\.yaml, odd\.yaml, with 1 warning\n/)
    expect(await run(['check', '--strict', good, odd])).toMatchObject({ out: '', exitCode: 2 })
    expect((await run(['check', '--strict', good])).exitCode).toBe(0)
  })

  test('without a file, or with one that is not there', async () => {
    expect(await run(['check'])).toMatchObject({ err: expect.stringContaining('-c sidecar.yaml'), exitCode: 2 })
    expect(await run(['check', '-c', join(folder, 'none.yaml')])).toMatchObject({
      err: expect.stringContaining('there is no such file'),
      exitCode: 2,
    })
  })

  test('has colours on a terminal only, and not where NO_COLOR is set', async () => {
    expect((await run(['check', good])).out).not.toContain(esc)
    expect((await run(['check', good], { isTTY: true })).out).toContain(`${esc}[32mgood`)
    expect((await run(['check', bad], { isTTY: true })).err).toContain(`${esc}[31mbad.yaml:1:1:`)
    expect((await run(['check', good], { isTTY: true, env: { NO_COLOR: '1' } })).out).not.toContain(esc)
    expect((await run(['check', good], { env: { FORCE_COLOR: '1' } })).out).toContain(esc)
  })
})

describe('outrigger config effective', () => {
  test('prints aligned YAML with the source of each value', async () => {
    const { out, exitCode } = await run(['effective', '-c', good, '-c', odd])
    expect(exitCode).toBe(0)
    const lines = out.split('\n')
    expect(lines[0]).toMatch(/^service: web {2,}# good\.yaml:1$/)
    expect(lines.find(line => line.includes('perTry'))).toMatch(/^ {6}perTry: 20s +# odd\.yaml:1$/)
    expect(lines.find(line => line.includes('workers'))).toMatch(/^workers: 1 +# default: one thread serves more/)
    const columns = new Set(
      lines.filter(line => line.includes('  # ') && line.indexOf('  # ') < 60).map(line => line.indexOf('# ')),
    )
    expect(columns.size).toBeLessThanOrEqual(2)
    const again = file('again.yaml', out)
    expect((await run(['check', again])).out.slice(-13)).toBe((await run(['check', good, odd])).out.slice(-13))
  })

  test('prints JSON', async () => {
    const { out } = await run(['effective', '--json', good])
    expect(JSON.parse(out)).toMatchObject({
      files: ['good.yaml'],
      config: { service: 'web' },
      sources: { service: { at: 'good.yaml:1' }, workers: { at: null } },
    })
  })

  test('says of bad files what check says', async () => {
    expect(await run(['effective', bad])).toMatchObject({ out: '', err: (await run(['check', bad])).err, exitCode: 2 })
  })
})

describe('outrigger config schema', () => {
  test('prints the JSON Schema of either document', async () => {
    expect(JSON.parse((await run(['schema'])).out)).toMatchObject({
      title: 'Outrigger: a sidecar file',
      properties: { outbound: {} },
    })
    expect(JSON.parse((await run(['schema', 'service'])).out)).toMatchObject({
      title: 'Outrigger: a service policy',
      properties: { routes: {} },
    })
  })

  test('knows no others', async () => {
    expect(await run(['schema', 'agent'])).toMatchObject({
      out: '',
      err: 'there is no document "agent": write sidecar, service or dev\n',
      exitCode: 2,
    })
  })
})
