import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { onPath } from '../peers/find.ts'
import { node, run, temporaryFolder } from './support/child.ts'
import { applicationPath } from './support/machine.ts'
import { runApp, startPair } from './support/pair.ts'
import { freePort } from './support/ports.ts'
import { get, outrigger } from './support/proxy.ts'
import { until } from './support/until.ts'

// `outrigger run`: exit codes, signals, what is left behind, and a sidecar that dies.

async function ended(command: readonly string[], options: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const pair = await startPair({ command, options, env })
  return { how: await pair.ended, out: pair.out(), err: pair.err() }
}

describe.concurrent('exit codes', () => {
  test.each([
    [0, 'exit 0'],
    [1, 'exit 1'],
    [137, 'kill -9 $$'],
  ])('%d: that of a job is passed on', async (code, script) => {
    expect((await ended(['sh', '-c', script])).how).toEqual({ code, signal: null })
  })

  test('127: there is no such command, and no sidecar was started for it', async () => {
    const { how, err } = await ended(['no-such-command'])
    expect(how.code).toBe(127)
    expect(err).toContain('there is no command no-such-command in PATH')
    expect(err).not.toContain('ready after')
  })

  test('126: it cannot be run', async () => {
    const file = join(temporaryFolder(), 'script')
    writeFileSync(file, 'echo never')
    chmodSync(file, 0o644)
    const { how, err } = await ended([file])
    expect(how.code).toBe(126)
    expect(err).toContain('is not executable')
  })

  test('127: its interpreter is not there', async () => {
    const file = join(temporaryFolder(), 'script')
    writeFileSync(file, '#!/no/such/interpreter\n')
    chmodSync(file, 0o755)
    expect((await ended([file])).how.code).toBe(127)
  })

  test('2: the file of the sidecar is wrong, and the application never runs', async () => {
    const pair = await startPair({ config: { inbound: 7 }, command: ['echo', 'it runs'] })
    expect((await pair.ended).code).toBe(2)
    expect(pair.err()).toContain('inbound')
    expect(pair.out()).toBe('')
  })
})

test('after an upgrade the new sidecar knows that the application runs', async () => {
  const pair = await startPair({ command: ['sleep', '60'] })
  const isReady = async () => (await pair.admin('/ready').catch(() => null))?.status === 200
  await until('that both are ready', isReady)
  const { body } = await get(pair.adminPort, '/upgrade?format=json', { method: 'POST' })
  expect(JSON.parse(body)).toMatchObject({ ok: true })
  await until('that the new sidecar is ready', isReady)
  pair.signal('SIGTERM')
  expect((await pair.ended).code).toBe(143)
})

test('standard streams are those of the application, and it sees nothing of how the two speak', async () => {
  const pair = await startPair({ command: ['env'] })
  expect(await pair.ended).toEqual({ code: 0, signal: null })
  expect(pair.out()).toContain('PATH=')
  expect(pair.out()).not.toMatch(/OUTRIGGER_(SUP|LIS|LAU|CACHE_F)|NODE_COMPILE_CACHE|outrigger .* ready/)
  expect(pair.err()).toContain('ready after')
})

test('signals go to the application; SIGTERM ends both, and the sidecar goes last', async () => {
  const pair = await startPair({ command: runApp, env: { SAY_SIGNALS: '1', ON_TERM: '7' } })
  await pair.said('an application that runs', out => out.includes('application'))
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2', 'SIGWINCH'] as const) {
    pair.signal(signal)
    await pair.said(`${signal} there`, out => out.includes(signal))
  }
  pair.signal('SIGTERM')
  expect(await pair.ended).toEqual({ code: 7, signal: null })
  expect(pair.err()).toMatch(/leaving[\s\S]*inbound is drained[\s\S]*ended with 7[\s\S]*"drained"/)
})

test('an application that ignores SIGTERM is killed in the end', async () => {
  const pair = await startPair({ command: runApp, options: ['--stop-timeout', '300ms'], env: { ON_TERM: 'ignore' } })
  await pair.said('an application that runs', out => out.includes('application'))
  pair.signal('SIGTERM')
  expect(await pair.ended).toEqual({ code: 137, signal: null })
  expect(pair.out()).toContain('SIGTERM')
  expect(pair.err()).toContain('has not ended 0.3 s after SIGTERM')
})

test('a second SIGTERM does not wait for callers', async () => {
  const pair = await startPair({
    config: { inbound: [{ listen: '127.0.0.1:0', forward: '127.0.0.1:1' }], drain: { delay: '5m', timeout: '5m' } },
    command: runApp,
    env: { ON_TERM: '3' },
  })
  await pair.said('an application that runs', out => out.includes('application'))
  pair.signal('SIGTERM')
  await pair.said('that the sidecar leaves', (_out, err) => err.includes('leaving'))
  expect(pair.out()).not.toContain('SIGTERM')
  pair.signal('SIGTERM')
  expect(await pair.ended).toEqual({ code: 3, signal: null })
})

test('a sidecar that hangs holds nothing up for long, and is killed in the end', async () => {
  const pair = await startPair({ command: runApp, env: { ON_TERM: '4' } })
  await pair.said('an application that runs', out => out.includes('application'))
  process.kill(await pair.sidecar(), 'SIGSTOP')
  pair.signal('SIGTERM')
  expect(await pair.ended).toEqual({ code: 4, signal: null })
  expect(pair.err()).toContain('the sidecar did not end in time and is killed')
})

test('a sidecar that crashes again and again is started more slowly each time', async () => {
  const pair = await startPair({ command: runApp, env: { ON_TERM: '0' } })
  const last = { pid: 0 }
  for (const words of ['another one is started"', 'started in 200 ms', 'started in 400 ms']) {
    const next = await until('another sidecar', async () => {
      const pid = await pair.sidecar()
      return pid !== last.pid && pair.out().includes('application') && pid
    })
    process.kill(next, 'SIGKILL')
    last.pid = next
    await pair.said(words, (_out, err) => err.includes(words))
  }
  pair.signal('SIGTERM')
  expect((await pair.ended).code).toBe(0)
})

test('a sidecar that is killed is started again, and the application does not notice', async () => {
  const [inbound, port] = [await freePort(), await freePort()]
  const pair = await startPair({
    config: { inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}` }] },
    command: runApp,
    env: { PORT: String(port), ON_TERM: '0' },
  })
  const answer = () =>
    get(inbound, '/').then(
      ({ status, body }) => status === 200 && body,
      () => false,
    )
  await pair.said('an application that listens', out => out.includes('listens'))
  const before = await until('an answer', answer)
  const first = await pair.sidecar()
  process.kill(first, 'SIGKILL')
  await pair.said('that it serves again', (_out, err) => err.includes('the sidecar serves again'))
  expect(await until('an answer', answer)).toBe(before)
  expect(await pair.sidecar()).not.toBe(first)
  pair.signal('SIGTERM')
  expect((await pair.ended).code).toBe(0)
})

test('whoever asks the sidecar to end ends both, in order', async () => {
  const pair = await startPair({ command: runApp, env: { ON_TERM: '5' } })
  await pair.said('an application that runs', out => out.includes('application'))
  process.kill(await pair.sidecar(), 'SIGTERM')
  expect(await pair.ended).toEqual({ code: 5, signal: null })
})

test('a sidecar that others asked to leave has left for good, and the application runs on', async () => {
  const [inbound, port] = [await freePort(), await freePort()]
  const pair = await startPair({
    config: { inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}` }] },
    command: runApp,
    env: { PORT: String(port), ON_TERM: '6' },
  })
  await pair.said('an application that listens', out => out.includes('listens'))
  const leave = () => get(pair.adminPort, '/leave?wait=60', { method: 'POST' })
  expect((await leave()).body).toMatch(/^left: /)
  const first = await pair.sidecar()
  process.kill(first, 'SIGKILL')
  await pair.said('that it serves again', (_out, err) => err.includes('the sidecar serves again'))
  await until('that the other one leaves too', async () => (await pair.admin('/ready')).body === 'not ready: leaving\n')
  expect(pair.running()).toBe(true)
  pair.signal('SIGTERM')
  expect(await pair.ended).toEqual({ code: 6, signal: null })
})

test('/ready is for both; probes of the application come through the sidecar', async () => {
  const [port, probes] = [await freePort(), await freePort()]
  const check = { http: '/healthz', failures: 1, interval: '200ms' }
  const pair = await startPair({
    config: {
      metrics: `127.0.0.1:${probes}`,
      inbound: [{ listen: '127.0.0.1:0', forward: `127.0.0.1:${port}`, application: { check } }],
    },
    command: runApp,
    env: { PORT: String(port), LISTEN_AFTER: '400' },
  })
  await pair.said('an application that runs', out => out.includes('application'))
  const starting = await pair.admin('/ready')
  expect(starting).toMatchObject({ status: 503 })
  expect(starting.body).toMatch(/not ready: GET http:\/\/127.0.0.1:\d+\/healthz: ECONNREFUSED|not been checked yet/)
  const says = (path: string, status: number) =>
    until(`${status} at ${path}`, async () => (await get(probes, path)).status === status)
  for (const path of ['/ready', '/app/ready', '/app/live']) await says(path, 200)
  await get(port, '/sick')
  for (const path of ['/ready', '/app/ready', '/app/live']) await says(path, 503)
  expect((await pair.admin('/app/live')).body).toMatch(/^not live: GET http.*\/healthz answers 503\n$/)
  await get(port, '/well')
  await says('/ready', 200)
  await pair.stop()
})

describe('as PID 1', () => {
  const unshare = onPath(['unshare']) ?? 'unshare (util-linux)'
  const namespace = ['--pid', '--fork', '--mount-proc', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])]

  test('orphans are waited for, and ended with the application', async () => {
    const file = join(temporaryFolder(), 'sidecar.yaml')
    writeFileSync(file, 'admin: off\nagent: off\nstate: off\noutbound: [{ listen: 127.0.0.1:0 }]\n')
    // Orphans that end while it runs must leave no zombie; the last one outlives it, and says when it is ended.
    const script = `
      for i in 1 2 3 4 5; do ( (sleep 0.1; exit $i) & ) ; done
      ( (trap 'echo the orphan was ended; exit' TERM; while :; do sleep 0.1; done) & )
      sleep 1
      grep -l '^State:.Z' /proc/[0-9]*/status | wc -l
      echo "parent $(cut -d' ' -f4 /proc/$$/stat)"
      exit 6`
    const { code, out, err } = await run(
      unshare,
      [...namespace, node, outrigger, 'run', '-c', file, '--', 'sh', '-c', script],
      { PATH: applicationPath },
    )
    expect({ code, out }, err).toEqual({ code: 6, out: '0\nparent 1\nthe orphan was ended\n' })
  })
})
