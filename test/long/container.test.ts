import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startBackend } from '../integration/support/backend.ts'
import { temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { get } from '../integration/support/proxy.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { type Docker, startDocker } from './support/docker.ts'
import { IMAGE, loadImage } from './support/image.ts'

// The image that the Dockerfile makes, built by a real BuildKit and run by a real containerd. Containers are in the
// network of the host: the daemon of the test may not touch its rules.

const MOST_BYTES = 180_000_000

let machine: Docker

beforeAll(async () => {
  await Promise.all([obtain('dockerd'), obtain('debootstrap')])
  machine = await startDocker()
  await loadImage(machine)
}, 1_800_000)

afterAll(() => machine?.[Symbol.asyncDispose]())

/** A folder that other users may read. */
function sharedFolder(): string {
  const folder = temporaryFolder()
  chmodSync(folder, 0o755)
  return folder
}

/** A sidecar as a container. `more`: options of `docker run`. */
async function startSidecar(more: readonly string[], drain = '{ delay: 0s, timeout: 2s }') {
  const [admin, outbound, inbound] = [await freePort(), await freePort(), await freePort()]
  const backend = await startBackend()
  const folder = sharedFolder()
  writeFileSync(
    join(folder, 'sidecar.yaml'),
    `service: web
admin: 127.0.0.1:${admin}
inbound: [ { listen: 127.0.0.1:${inbound}, forward: 127.0.0.1:${backend.port} } ]
outbound: [ { listen: 127.0.0.1:${outbound}, service: hello } ]
discovery: { endpoints: { hello: [ 127.0.0.1:${backend.port} ] } }
drain: ${drain}
`,
  )
  const fixed = ['--network', 'host', '-v', `${folder}:/etc/outrigger:ro`, '-e', `OUTRIGGER_ADMIN=127.0.0.1:${admin}`]
  const id = (await machine.docker(['run', '-d', ...fixed, ...more, IMAGE])).trim()
  const inspect = async (path: string) => (await machine.docker(['inspect', '-f', `{{${path}}}`, id])).trim()
  const logs = async () => (await machine.tried(['logs', id])).output
  await until('that the sidecar is ready', async () => {
    if ((await inspect('.State.Running')) !== 'true') throw new Error(`the container ended: ${await logs()}`)
    return (await get(admin, '/ready').catch(() => null))?.status === 200
  })
  return { id, admin, outbound, folder, inspect, logs, backend }
}

/** As Kubernetes' restricted level and OpenShift run it. */
const RESTRICTED = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges']

describe('the image', () => {
  test(`takes at most ${MOST_BYTES / 1e6} MB, names its user and what it is`, async () => {
    const [image] = JSON.parse(await machine.docker(['image', 'inspect', IMAGE])) as [
      {
        Size: number
        Config: { User: string; Labels: Record<string, string>; StopSignal: string; Healthcheck: object }
      },
    ]
    expect(image.Size).toBeLessThan(MOST_BYTES)
    expect(image.Config).toMatchObject({
      User: '1337:1337',
      StopSignal: 'SIGTERM',
      Labels: {
        'org.opencontainers.image.title': 'Outrigger',
        'org.opencontainers.image.version': '0.1.0-test',
        'org.opencontainers.image.revision': 'abc',
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    })
  })

  test('has no shell, and nothing of the sources or the tools that built it', async () => {
    expect((await machine.tried(['run', '--rm', '--entrypoint', '/bin/sh', IMAGE, '-c', 'true'])).code).not.toBe(0)
    const list =
      "const fs=require('fs');for(const f of ['/opt/outrigger','/opt/outrigger/node_modules'])console.log(fs.readdirSync(f).join(' '))"
    const [own, packages] = (
      await machine.docker(['run', '--rm', '--entrypoint', '/usr/local/bin/node', IMAGE, '-e', list])
    ).split('\n')
    expect(own).toBe('LICENSE bin compiled dist node_modules package.json')
    expect(packages).not.toMatch(/typescript|vitest|@types|rolldown/)
  })

  test.each([
    ['its own user', []],
    ['a user that no file of it knows, as in OpenShift', ['--user', '1000730000:0']],
  ])('serves as %s, on a read-only root, without any capability', async (_who, user) => {
    const sidecar = await startSidecar([...RESTRICTED, ...user])
    expect((await get(sidecar.outbound, '/')).status).toBe(200)
    expect(await sidecar.logs()).not.toMatch(/warn|error/i)
    await machine.docker(['stop', '-t', '30', sidecar.id])
    expect(await sidecar.inspect('.State.ExitCode')).toBe('0')
    expect(await sidecar.logs()).toContain('drained')
  })

  test('is healthy by its own check, and unhealthy while it drains', async () => {
    const sidecar = await startSidecar(['--health-interval', '1s', '--health-retries', '1'], '{ delay: 30s }')
    const health = () => sidecar.inspect('.State.Health.Status')
    await until('that it is healthy', async () => (await health()) === 'healthy')
    await machine.docker(['kill', '-s', 'TERM', sidecar.id])
    await until('that it is unhealthy', async () => (await health()) === 'unhealthy')
    await machine.docker(['kill', '-s', 'TERM', sidecar.id])
    await until('that it has ended', async () => (await sidecar.inspect('.State.Running')) === 'false')
    expect(await sidecar.inspect('.State.ExitCode')).toBe('143')
  })

  test('killed, it comes back by its restart policy', async () => {
    const sidecar = await startSidecar(['--restart', 'always'])
    process.kill(Number(await sidecar.inspect('.State.Pid')), 'SIGKILL')
    await until('that it was restarted', async () => (await sidecar.inspect('.RestartCount')) !== '0')
    await until(
      'that it is ready again',
      async () => (await get(sidecar.admin, '/ready').catch(() => null))?.status === 200,
    )
    expect((await get(sidecar.outbound, '/')).status).toBe(200)
    await machine.docker(['rm', '-f', sidecar.id])
  })

  test('takes up a changed file of a mounted folder', async () => {
    const sidecar = await startSidecar(RESTRICTED)
    const port = await freePort()
    const more = `admin: 127.0.0.1:${sidecar.admin}\noutbound: [ { listen: 127.0.0.1:${port}, service: hello } ]\ndiscovery: { endpoints: { hello: [ 127.0.0.1:${sidecar.backend.port} ] } }\n`
    writeFileSync(join(sidecar.folder, 'sidecar.yaml'), more)
    await until('that the new port serves', async () => (await get(port, '/').catch(() => null))?.status === 200)
  })

  test('has outrigger by its name, for probes and hooks', async () => {
    const sidecar = await startSidecar(RESTRICTED)
    expect(await machine.docker(['exec', sidecar.id, 'outrigger', 'ready', '--wait', '30s'])).toMatch(/^ready/)
  })

  test('a bad file is told with its place, and ends with 2', async () => {
    const folder = sharedFolder()
    writeFileSync(join(folder, 'sidecar.yaml'), 'outbound:\n  - listen: here\n')
    const ended = await machine.tried(['run', '--rm', '--network', 'none', '-v', `${folder}:/etc/outrigger:ro`, IMAGE])
    expect(ended).toMatchObject({ code: 2, output: expect.stringContaining('/etc/outrigger/sidecar.yaml:2:13') })
  })

  test('has nft and iptables of both kinds, with what they load, for the container that sets rules', async () => {
    const script = `
      const { execFileSync } = require('child_process')
      const execute = (name, args, input) => execFileSync(name, args, { input, encoding: 'utf8' })
      execute('nft', ['-f', '-'], 'add table ip t\\nadd chain ip t c { type nat hook output priority -100; }\\nadd rule ip t c tcp dport 80 redirect to :15001\\n')
      console.log(execute('nft', ['list', 'ruleset']))
      execute('iptables-restore', ['--noflush'], '*nat\\n-A OUTPUT -p tcp -m owner --uid-owner 1337 -m comment --comment x -j RETURN\\n-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\\nCOMMIT\\n')
      console.log(execute('iptables-save', ['-t', 'nat']))
      console.log(execute('iptables-legacy', ['--version']), execute('ip6tables-save', []))`
    const output = await machine.docker([
      ...['run', '--rm', '--network', 'none', '--user', '0:0', '--cap-drop', 'ALL', '--cap-add', 'NET_ADMIN'],
      ...['--cap-add', 'NET_RAW', '--entrypoint', '/usr/local/bin/node', IMAGE, '-e', script],
    ])
    expect(output).toContain('redirect to :15001')
    expect(output).toContain('--uid-owner 1337 -m comment --comment x -j RETURN')
  })

  test('starts with what V8 had compiled before', async () => {
    const script =
      "console.log(require('module').enableCompileCache().status, require('fs').readdirSync(require('module').getCompileCacheDir()).length)"
    for (const user of ['0:0', '1337:1337']) {
      const output = await machine.docker([
        'run',
        '--rm',
        '--user',
        user,
        '--entrypoint',
        '/usr/local/bin/node',
        IMAGE,
        '-e',
        script,
      ])
      const [status, files] = output.trim().split(' ')
      // 1: enabled by this call; 2: by NODE_COMPILE_CACHE. The folder is the user's own.
      expect([status, Number(files) > 5]).toEqual(['2', true])
    }
  })
})
