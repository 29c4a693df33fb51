import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { node, root, run, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'
import { folderOf, processesWith } from './processes.ts'
import { APP, ask, type Dev, isAlive, startDev } from './running.ts'

const three = `
services:
  first: { command: '${APP}', depends: [next], env: { COLOUR: red } }
  next: { command: '${APP}', instances: 2 }
  last: { command: '${APP}' }
`

/** Sidecars, the agent, applications and what those started: all have the folder in their environment. */
async function nothingIsLeft({ folder }: Dev): Promise<void> {
  await until(`that no process of ${folder} is left`, () => processesWith(folder).length === 0)
}

/** Spans are made when they go somewhere. Nothing listens here, and the agent keeps them. */
const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }

const bin = join(root, 'bin/outrigger.js')

describe('outrigger dev', () => {
  test('starts services with sidecars, an agent and traces; what crashes comes back; Ctrl-C ends all of it', async () => {
    const dev = startDev(three, [], collector)
    await dev.whenReady()
    // Four applications, five sidecars, the agent, the watchdog, and dev.
    expect(processesWith(dev.folder).length).toBeGreaterThanOrEqual(12)

    const files = folderOf(processesWith(dev.folder))!
    expect(existsSync(files)).toBe(true)

    // By the gateway, a sidecar, another sidecar: one trace, also through the application in between.
    const answer = await until('a call by way of first and next', async () => {
      const got = await ask(`${dev.urlOf('first')}/next`)
      return got.status === 200 && got.traceparent !== undefined && got.next?.traceparent !== undefined && got
    })
    expect(answer).toMatchObject({ from: 'first-1', colour: 'red' })
    const traceOf = (traceparent = '') => traceparent.split('-')[1]
    expect(traceOf(answer.next!.traceparent)).toBe(traceOf(answer.traceparent))

    // Both instances of next have their share.
    const seen = new Set<string>()
    await until('both instances', async () => seen.add((await ask(dev.urlOf('next'))).from).size === 2)

    const [before] = dev.pids('last-1')
    await ask(`${dev.urlOf('last')}/crash`)
    await dev.child.said('that it ended', out => out.includes('ended: exit code 1, starts again in 0.5 s'))
    await until('another last', () => dev.pids('last-1').length === 2)
    expect(
      (
        await until('its answer', async () => {
          const got = await ask(dev.urlOf('last'))
          return got.status === 200 && got
        })
      ).pid,
    ).not.toBe(before)

    dev.child.signal('SIGINT')
    expect(await dev.child.ended).toEqual({ code: 0, signal: null })
    await nothingIsLeft(dev)
    expect(existsSync(files)).toBe(false)
  })

  test('an edit of the file starts again what it changes, and nothing else', async () => {
    await using stack = new AsyncDisposableStack()
    const dev = startDev(three)
    stack.use(dev.child)
    await dev.whenReady()
    const pidOf = async (service: string) => (await ask(dev.urlOf(service))).pid
    const [first, last] = [await pidOf('first'), await pidOf('last')]

    dev.write(three.replace('COLOUR: red', 'COLOUR: blue'))
    await until('the other colour', async () => (await ask(dev.urlOf('first'))).colour === 'blue')
    expect(await pidOf('first')).not.toBe(first)
    expect(await pidOf('last')).toBe(last)
    expect(dev.pids()).toHaveLength(5)

    dev.write(three.replace('command', 'comand'))
    await dev.child.said('what is wrong', out => out.includes('dev.yaml:3:12: unknown key "comand"'))
    expect((await ask(dev.urlOf('first'))).colour).toBe('blue')

    dev.write(`${three.replace('red', 'blue').replace('instances: 2', 'instances: 1')}  more: { command: '${APP}' }\n`)
    await dev.child.said('a table with the new one', out => /^more +http/m.test(out))
    expect((await ask(dev.urlOf('more'))).from).toBe('more-1')
    const [second] = dev.pids('next-2')
    await until('the end of next-2', () => !isAlive(second!))
    for (let n = 0; n < 6; n++) expect((await ask(dev.urlOf('next'))).from).toBe('next-1')
    expect(await pidOf('last')).toBe(last)
  })

  test('a policy document that is saved is in force, and one that is wrong is told and changes nothing', async () => {
    await using stack = new AsyncDisposableStack()
    const dev = startDev(`services: { one: { command: '${APP}' } }`)
    stack.use(dev.child)
    const document = join(dev.folder, 'policies/one.yaml')
    await dev.whenReady()
    const slow = () => ask(`${dev.urlOf('one')}/slow`).then(({ status }) => status)
    expect(await slow()).toBe(200)
    mkdirSync(join(dev.folder, 'policies'))
    writeFileSync(document, 'timeouts: { request: 50ms }\n')
    await until('the timeout', async () => (await slow()) === 504)
    writeFileSync(document, 'timeouts: { reqest: 5s }\n')
    await dev.child.said('why it is refused', out => /^agent +\| warn: .*unknown key "reqest"/m.test(out))
    expect(await slow()).toBe(504)
    writeFileSync(document, 'timeouts: { request: 5s }\n')
    await until('the other timeout', async () => (await slow()) === 200)
  })

  test('what cannot start is tried again, each time later, and the others are up', async () => {
    await using stack = new AsyncDisposableStack()
    const dev = startDev(`
services:
  good: { command: '${APP}' }
  bad: { command: '${APP}', env: { CRASH: yes } }
  waits: { command: '${APP}', depends: [bad] }
`)
    stack.use(dev.child)
    for (const delay of ['0.5', '1', '2'])
      await dev.child.said(`a restart in ${delay} s`, out =>
        out.includes(`bad-1   | ended: exit code 3, starts again in ${delay} s\n`),
      )
    await dev.child.said('good', out => out.includes('good-1  | ready on'))
    expect(dev.child.out()).toContain('bad-1   | it cannot start like this')
    expect(dev.pids('waits-1')).toEqual([])
  })

  const stubborn = `services: { stubborn: { command: '${APP}', env: { STUBBORN: yes } } }`

  test('ends what does not listen to SIGTERM, and what that started', async () => {
    const dev = startDev(stubborn)
    await dev.child.said('that both are up', out => out.includes('its child is up'))
    await dev.whenReady()
    dev.child.signal('SIGTERM')
    expect((await dev.child.ended).code).toBe(0)
    expect(dev.child.out()).toContain('stubborn-1 | no')
    expect(dev.pids()).toHaveLength(2)
    await nothingIsLeft(dev)
  })

  test('a second Ctrl-C ends it at once', async () => {
    const dev = startDev(stubborn)
    await dev.child.said('that both are up', out => out.includes('its child is up'))
    await dev.whenReady()
    dev.child.signal('SIGINT')
    await dev.child.said('that it ends', out => out.includes('once more ends it at once'))
    dev.child.signal('SIGINT')
    expect((await dev.child.ended).code).toBe(130)
    await nothingIsLeft(dev)
  })

  test('killed with -9 it leaves nothing behind either', async () => {
    const dev = startDev(stubborn)
    await dev.child.said('that both are up', out => out.includes('its child is up'))
    await dev.whenReady()
    dev.child.signal('SIGKILL')
    await dev.child.ended
    await nothingIsLeft(dev)
  })

  test('--once prints a table that fits 80 columns, without colours, and ends', async () => {
    const dev = startDev(three, ['--once'])
    expect((await dev.child.ended).code).toBe(0)
    const out = dev.child.out()
    expect(out).not.toContain('\u001b')
    const table = out.slice(out.indexOf('\nSERVICE'), out.indexOf('ready after'))
    expect(table.split('\n').filter(line => line.length > 80)).toEqual([])
    expect(table).toMatch(/^first-1 +ready +\d+ +http:\S+ +http:\S+$/m)
    await nothingIsLeft(dev)
  })

  test('colours come where somebody sees them', async () => {
    const dev = startDev(`services: { one: { command: '${APP}' } }`, ['--once'], { FORCE_COLOR: '1' })
    await dev.child.ended
    expect(dev.child.out()).toContain('\u001b[36mone-1 |\u001b[39m \u001b[32mup\u001b[39m')
  })

  test('--run runs a command that finds the services, and exits with its code', async () => {
    const code =
      'fetch(process.env.ONE_URL).then(r => r.json()).then(a => { console.log(`heard of ${a.from}`); process.exit(7) })'
    const dev = startDev(`services: { one: { command: '${APP}' } }`, ['--run', `"${node}" -e '${code}'`])
    expect((await dev.child.ended).code).toBe(7)
    expect(dev.child.out()).toContain('heard of one-1')
    await nothingIsLeft(dev)
  })

  test('a port that another program has is told before anything is started', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const dev = startDev(`services: { one: { command: '${APP}', publish: ${port} } }`)
    expect((await dev.child.ended).code).toBe(1)
    expect(dev.child.err()).toContain(`publish of one: another program listens on 127.0.0.1:${port}`)
    expect(dev.pids()).toEqual([])
    server.close()
  })

  test('a file that is wrong or missing starts nothing: exit code 2', async () => {
    const dev = startDev('services: { web: { comand: node web.js } }')
    expect((await dev.child.ended).code).toBe(2)
    expect(dev.child.err()).toContain('dev.yaml:1:20: unknown key "comand": did you mean "command"?')
    const missing = await run(node, [bin, 'dev', '-c', 'nothing.yaml'], {}, dev.folder)
    expect(missing.code).toBe(2)
    expect(missing.err).toMatch(/^nothing\.yaml: there is no such file/)
    expect(existsSync(join(dev.folder, 'pids'))).toBe(false)
  })
})

test('the example runs, and its traces join up', async () => {
  const script = join(temporaryFolder(), 'ask.mjs')
  writeFileSync(
    script,
    `const { order } = await (await fetch(process.env.WEB_URL)).json()
const traces = [order.traceparent, order.stock.traceparent].map(each => each.split('-')[1])
console.log(order.price, order.stock.from, traces[0] === traces[1])`,
  )
  const file = join(root, 'examples/dev/dev.yaml')
  const { code, out, err } = await run(node, [bin, 'dev', '-c', file, '--run', `"${node}" "${script}"`], collector)
  expect(out, err).toMatch(/^4\.20 EUR stock-1 true$/m)
  expect(code).toBe(0)
})
