import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { tool } from '../peers/find.ts'
import { startBackend } from './support/backend.ts'
import { node, root, run, startChild, temporaryFolder } from './support/child.ts'
import { machinePath, npmProgram } from './support/machine.ts'
import { npmEnvironment as env, npm, packInto } from './support/packed.ts'
import { freePort } from './support/ports.ts'
import { get } from './support/proxy.ts'

// The package as a user gets it: packed by npm, installed by npm, run without the sources beside it.

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
let tarball: string
let installed: string
let outrigger: string

beforeAll(async () => {
  const folder = temporaryFolder()
  tarball = await packInto(folder)
  installed = temporaryFolder()
  await npm(['install', '--global', '--prefix', installed, '--prefer-offline', tarball], folder)
  outrigger = join(installed, 'bin/outrigger')
}, 300_000)

describe('the package', () => {
  test('is named for its version and holds what runs and what is to be read, no sources and no tests', async () => {
    expect(tarball.endsWith(`outrigger-${version}.tgz`)).toBe(true)
    const { out } = await run(tool('tar'), ['-tzf', tarball], env)
    const files = out.trim().split('\n')
    const tops = new Set(files.map(file => file.split('/')[1]))
    expect(tops).toContain('dist')
    expect(files).toContain('package/docs/configuration.md')
    const pages = ['README.md', 'CHANGELOG.md', 'SECURITY.md']
    for (const name of tops)
      expect(['bin', 'deploy', 'dist', 'docs', 'package.json', 'LICENSE', ...pages]).toContain(name)
    expect(files.filter(file => /\.ts$|\.map$|\/test\//.test(file))).toEqual([])
  })

  test('installed globally, --version is its version', async () => {
    expect(await run(outrigger, ['--version'], env)).toMatchObject({ code: 0, out: `${version}\n`, err: '' })
    expect(existsSync(join(installed, 'lib/node_modules/outrigger/cli'))).toBe(false)
  })

  test('an application that has it as a dependency loads outrigger/propagate by name', async () => {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(installed, 'lib/node_modules/outrigger'), join(folder, 'node_modules/outrigger'))
    const code =
      "console.log(Symbol.for('outrigger.propagate') in globalThis, process.moduleLoadList.includes('NativeModule http2'))"
    const { out, err } = await run(node, ['--import', 'outrigger/propagate', '-e', code], env, folder)
    expect({ out, err }).toEqual({ out: 'true false\n', err: '' })
  })

  test('checks a config: 0 for a good one, 2 with the place for a bad one', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'good.yaml'), readFileSync(join(root, 'examples/minimal/sidecar.yaml')))
    writeFileSync(join(folder, 'bad.yaml'), 'outbound:\n  - listen: here\n')
    expect(await run(outrigger, ['config', 'check', 'good.yaml'], env, folder)).toMatchObject({ code: 0, err: '' })
    const bad = await run(outrigger, ['config', 'check', 'bad.yaml'], env, folder)
    expect(bad.code).toBe(2)
    expect(bad.out + bad.err).toContain('bad.yaml:2:13: ')
    const schema = await run(outrigger, ['config', 'schema'], env)
    expect(JSON.parse(schema.out)).toHaveProperty('properties.outbound')
  })

  test('runs a proxy that serves requests, renders its pages and drains', async () => {
    await using backend = await startBackend()
    const [port, admin] = [await freePort(), await freePort()]
    const file = join(temporaryFolder(), 'sidecar.yaml')
    writeFileSync(
      file,
      `admin: 127.0.0.1:${admin}
drain: { delay: 0s }
outbound: [{ listen: '127.0.0.1:${port}', service: orders }]
discovery: { endpoints: { orders: ['${backend.address}'] } }
services: { orders: { routes: [{ match: { path: { regex: '/(a|b)*/?' } } }] } }
`,
    )
    await using proxy = startChild(outrigger, ['proxy', '-c', file], env)
    await proxy.said('that it is ready', out => out.includes('admin '))
    expect(await get(port, '/')).toMatchObject({ status: 200, body: `${backend.port}\n` })
    expect((await get(port, '/c')).status).toBe(404)
    for (const page of ['/metrics', '/config', '/endpoints', '/flights', '/explain?url=http://orders/', '/ready'])
      expect((await get(admin, page)).status).toBe(200)
    expect(await run(outrigger, ['explain', 'http://orders/a', '--admin', `127.0.0.1:${admin}`], env)).toMatchObject({
      code: 0,
    })
    proxy.signal('SIGTERM')
    expect(await proxy.ended).toEqual({ code: 0, signal: null })
    expect(proxy.err()).toContain('drained')
  })
})

describe('in the clone', () => {
  test('npx outrigger works from source, with whatever Node the machine has', async () => {
    const machine = { ...env, PATH: machinePath }
    expect(await run(npmProgram('npx'), ['outrigger', '--version'], machine)).toMatchObject({
      code: 0,
      out: `${version}\n`,
    })
    expect(
      (await run(npmProgram('npx'), ['outrigger', 'config', 'check', 'examples/minimal/sidecar.yaml'], machine)).code,
    ).toBe(0)
  })
})
