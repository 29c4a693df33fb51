import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { tool } from '../peers/find.ts'
import { obtain } from '../peers/obtain.ts'
import { type Child, node, root, run, startChild } from './support/child.ts'
import { applicationPath } from './support/machine.ts'
import { outrigger } from './support/proxy.ts'
import { until } from './support/until.ts'

// examples/vm: machines of namespaces with a real Consul. It checks itself what it shows, call by call.

const main = 'examples/vm/main.ts'
const env = { PATH: applicationPath, NO_COLOR: '1' }

beforeAll(async () => {
  for (const peer of ['consul', 'ip', 'nft'] as const) await obtain(peer)
})

test('runs with its one command, does what its README says, and leaves nothing after Ctrl-C', async () => {
  await using example = startChild(node, [main], env)
  await example.said('that it goes on', out => out.includes('Ctrl-C ends it'))
  const out = example.out()
  expect(out).toMatch(/^ {2}outbound +orders\.mesh:8080 \(240\.\d+\.\d+\.\d+\) +orders +10\.78\.0\.2[12]:8080 +200$/m)
  expect(out).toMatch(/^ {2}api\.example\.com +PassthroughCluster +203\.0\.113\.7:80 +200 network$/m)
  expect(out).not.toMatch(/^ {2}(?:5\d\d|no) /m)
  expect(readFileSync(join(root, 'examples/vm/README.md'), 'utf8')).toContain(`node ${main}`)
  await endsWith('SIGINT', example)
  expect((await example.ended).code).toBe(0)
})

test('leaves nothing when it is killed', async () => {
  await using example = startChild(node, [main], env)
  await example.said('that the machines are there', out => out.includes('Each machine'))
  await endsWith('SIGKILL', example)
})

/** Its machines end with it: no process is in their networks any more. */
async function endsWith(signal: NodeJS.Signals, example: Child): Promise<void> {
  const children = readFileSync(`/proc/${example.pid}/task/${example.pid}/children`, 'utf8').trim().split(' ')
  const networks = new Set(children.flatMap(networkOf).filter(network => network !== networkOf('self')[0]))
  expect(networks.size).toBe(4)
  example.signal(signal)
  await example.ended
  await until('that its machines have ended', () => !everyNetwork().some(network => networks.has(network)))
}

function networkOf(pid: string): string[] {
  try {
    return [readlinkSync(`/proc/${pid}/ns/net`)]
  } catch {
    // It has just ended.
    return []
  }
}

function everyNetwork(): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(networkOf)
}

test('without root it says what it needs, and makes nothing', async () => {
  const asNobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', node, join(root, main)]
  const { code, out, err } = await run(tool('setpriv'), asNobody, env)
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain('sudo npx node examples/vm/main.ts')
})

test.each(['web.yaml', 'orders.yaml'])('%s has neither mistakes nor warnings', async name => {
  const checked = await run(node, [outrigger, 'config', 'check', '--strict', `examples/vm/${name}`], {
    ADDRESS: '10.78.0.11',
  })
  expect(checked).toMatchObject({ code: 0, err: '' })
})
