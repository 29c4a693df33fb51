import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { follow, type TestFollower } from '../agent/support/follower.ts'
import { type RunningAgent, run, startAgent } from './support/agent.ts'
import { temporaryFolder } from './support/child.ts'

// The agent and `outrigger policy` as users run them, with a folder of documents.

let agent: RunningAgent
let proxy: TestFollower
beforeAll(async () => {
  agent = await startAgent()
  proxy = follow(agent.socket, [{ service: 'orders' }])
})
afterAll(async () => {
  proxy.close()
  await agent.stop()
})

const attempts = () => proxy.spec('orders')?.retries.attempts
function write(name: string, text: string): string {
  const file = join(temporaryFolder(), name)
  writeFileSync(file, text)
  return file
}

describe('outrigger policy', () => {
  test('put: in force in the proxies; a wrong document is refused with its places, and changes nothing', async () => {
    const good = await agent.policy('put', 'orders', write('orders.yaml', 'retries: { attempts: 2 }\n'), '-m', 'first')
    expect(good).toMatchObject({ code: 0, err: '' })
    expect(good.out).toMatch(/^put orders, version [0-9a-f]{12}\n$/)
    await expect.poll(attempts).toBe(2)
    const file = write('wrong.yaml', 'retries:\n  atempts: 4\ntimeouts: { request: 4 }\n')
    const bad = await agent.policy('put', 'orders', file)
    expect(bad.code).toBe(2)
    expect(bad.err).toBe(
      `${file}:2:3: unknown key "atempts": did you mean "attempts"?\n${file}:3:22: request: 4 has no unit: write 4s\n`,
    )
    expect(attempts()).toBe(2)
  })

  test('get, history, diff, rollback', async () => {
    await agent.policy('put', 'orders', write('orders.yaml', 'retries: { attempts: 3 }\n'), '-m', 'second')
    await expect.poll(attempts).toBe(3)
    const got = await agent.policy('get', 'orders')
    expect(got).toMatchObject({ code: 0, out: 'retries: { attempts: 3 }\n' })
    expect(got.err).toMatch(/^# policies\/orders.yaml, version [0-9a-f]{12}, by ada@.*\n# second\n$/)
    const history = await agent.policy('history', 'orders')
    expect(history.out).toMatch(/^VERSION +WHEN +AUTHOR +COMMENT\n\S+ .*ada@\S+ +second\n\S+ .*ada@\S+ +first\n$/)
    const first = history.out.trim().split('\n').at(-1)!.split(' ')[0]!
    const diff = await agent.policy('diff', 'orders', '--to', first)
    expect(diff).toMatchObject({ code: 3, out: '-retries: { attempts: 3 }\n+retries: { attempts: 2 }\n' })
    expect((await agent.policy('rollback', 'orders')).code).toBe(0)
    await expect.poll(attempts).toBe(2)
    expect((await agent.policy('diff', 'orders', '--to', first)).code).toBe(0)
  })

  test('put --expect: a version that is not there any more is a conflict', async () => {
    const file = write('orders.yaml', 'retries: { attempts: 5 }\n')
    const conflict = await agent.policy('put', 'orders', file, '--expect', 'none')
    expect(conflict.code).toBe(3)
    expect(conflict.err).toMatch(/^policies\/orders.yaml: it has version \w+, and there was to be none: /)
    const version = /version (\w+)/.exec(conflict.err)![1]!
    expect((await agent.policy('put', 'orders', file, '--expect', version)).code).toBe(0)
    await expect.poll(attempts).toBe(5)
  })

  test('lint looks at the document together with the others', async () => {
    const file = write('orders.yaml', 'routes: [{ to: [{ subset: v2 }] }]\n')
    expect(await agent.policy('lint', 'orders', file)).toMatchObject({
      code: 2,
      err: `${file}:1:27: there is no subset "v2": there are no subsets: define it under subsets:\n`,
    })
    const defaults = write('defaults.yaml', 'subsets: { v2: { version: v2 } }\n')
    expect((await agent.policy('put', '*', defaults)).code).toBe(0)
    await expect.poll(async () => (await agent.policy('lint', 'orders', file)).code).toBe(0)
  })

  test('of five megabytes is refused before it is sent', async () => {
    const file = write('orders.yaml', `# ${'x'.repeat(5 * 1024 * 1024)}`)
    const large = await agent.policy('put', 'orders', file)
    expect(large).toMatchObject({ code: 2, err: `${file}: it is larger than 1 MiB\n` })
    expect(attempts()).toBe(5)
  })

  test('get of what there is not, and no agent', async () => {
    expect((await agent.policy('get', 'Orders!')).code).toBe(2)
    expect((await agent.policy('history', 'users')).code).toBe(3)
    const away = await run(['policy', 'list', '--agent', `unix:${agent.folder}/none.sock`])
    expect(away).toMatchObject({ code: 1, out: '' })
    expect(away.err).toMatch(/^no agent answers at unix:.*none.sock: is "outrigger agent" running/)
  })
})

describe('the folder', () => {
  const put = (name: string, text: string) => {
    const folder = join(agent.folder, 'policies')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `.${name}.new`), text)
    renameSync(join(folder, `.${name}.new`), join(folder, name))
  }

  test('a bad file is refused alone, and says so in the log, the list, the metrics and the status', async () => {
    put('orders.yaml', 'retries: { attempts: 2 }')
    await expect.poll(attempts).toBe(2)
    put('orders.yaml', 'retries: { attempts: x }')
    put('users.yaml', 'retries: { attempts: 2 }')
    const reason = /policies\/orders.yaml:1:22: attempts: \S+ is not a number/
    await expect.poll(agent.err).toMatch(reason)
    expect((await agent.policy('list')).out).toMatch(reason)
    expect((await agent.policy('get', 'orders')).err).toMatch(reason)
    expect(await agent.page('/metrics')).toContain(
      'outrigger_agent_policy_refused{source="files policies",document="policies/orders.yaml"} 1',
    )
    expect(JSON.parse(await agent.page('/status')).refused).toMatchObject([{ service: 'orders' }])
    await expect.poll(async () => (await agent.policy('list')).out).toMatch(/^users .*in force/m)
    expect(attempts()).toBe(2)
  })

  test('that goes away leaves its documents in force', async () => {
    const folder = join(agent.folder, 'policies')
    renameSync(folder, `${folder}.away`)
    await expect.poll(agent.err).toContain('policies is gone: its documents stay in force')
    expect(attempts()).toBe(2)
    renameSync(`${folder}.away`, folder)
    put('orders.yaml', 'retries: { attempts: 4 }')
    await expect.poll(attempts).toBe(4)
    rmSync(join(folder, 'orders.yaml'))
    await expect.poll(() => proxy.spec('orders')?.retries.attempts).not.toBe(4)
  })
})

describe('the program', () => {
  test('its socket is its owner’s only, a second agent is refused, a dead one’s socket is taken over', async () => {
    const first = await startAgent()
    expect(statSync(first.socket).mode & 0o777).toBe(0o600)
    const second = await run(['agent', '-c', join(first.folder, 'agent.yaml')])
    expect(second).toMatchObject({
      code: 1,
      err: `another agent listens on ${first.socket}: end it, or name another one in listen:\n`,
    })
    first.signal('SIGHUP')
    await first.said('it read its file', (_, err) => err.includes('the agent file says what is in force'))
    first.signal('SIGKILL')
    await first.ended
    const again = await first.start()
    expect(await again.page('/ready')).toBe('ready\n')
    again.signal('SIGTERM')
    expect(await again.ended).toMatchObject({ code: 0 })
  })

  test('a wrong agent file: each error with its place; --check starts nothing', async () => {
    const file = write(
      'agent.yaml',
      'listen: /run/a.sock\npolicies: { order: [files, files], folder: 3 }\nconsul: { tls: { ca: a } }\n',
    )
    const ran = await run(['agent', '-c', file, '--check'])
    expect(ran.code).toBe(2)
    expect(ran.err.trim().split('\n')).toEqual([
      expect.stringMatching(/agent.yaml:1:9: the agent listens on a Unix socket: write unix: and an absolute path/),
      expect.stringMatching(/agent.yaml:2:28: "files" is listed twice: remove one$/),
      expect.stringMatching(/agent.yaml:2:44: folder: 3 is a number, and a folder or a file is a text: write "3"$/),
      expect.stringMatching(/agent.yaml:3:16: tls needs an https address/),
    ])
    expect((await run(['agent', '-c', write('agent.yaml', '{}'), '--check'])).code).toBe(0)
    expect((await run(['agent', '-c', '/none.yaml'])).err).toBe(
      '/none.yaml: there is no such file: check the path given with -c\n',
    )
  })
})
