import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { injectText } from '../../inject/manifest.ts'
import { type Json, mapOf, mapsOf } from '../../inject/shape.ts'
import { injectOptions } from '../inject/support/options.ts'
import { obtain } from '../peers/obtain.ts'
import { node, root, run, startChild, temporaryFolder } from './support/child.ts'
import { outrigger } from './support/proxy.ts'
import { until } from './support/until.ts'

/**
 * The services of examples/kubernetes, each beside its injected sidecar in a network namespace, as in a pod: a call
 * passes three sidecars. long/quickstart-kubernetes.test.ts has the API server.
 */

const folder = join(root, 'examples/kubernetes')
const services = ['web', 'orders', 'stock'] as const
const addressOf = (name: (typeof services)[number]) => `10.202.7.${services.indexOf(name) + 2}`
const own = `ok${process.pid % 100_000}`
const undo: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const each of undo) await each()
})

test('web answers with what orders and stock said', async () => {
  const ip = await obtain('ip')
  const network = async (...args: string[]) => {
    const { code, err } = await run(ip, args)
    if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${err}: this test makes network namespaces, as root`)
  }
  const add = async (name: string) => {
    await network('netns', 'add', name)
    undo.push(() => run(ip, ['netns', 'del', name]))
    await network('-n', name, 'link', 'set', 'lo', 'up')
  }
  await add(own)
  await network('-n', own, 'link', 'add', 'br0', 'type', 'bridge')
  await network('-n', own, 'addr', 'add', '10.202.7.1/24', 'dev', 'br0')
  await network('-n', own, 'link', 'set', 'br0', 'up')
  const base = {
    discovery: { endpoints: Object.fromEntries(services.map(name => [name, [`${addressOf(name)}:20000`]])) },
  }
  const work = temporaryFolder()
  for (const name of services) {
    const pod = `${own}${name[0]}`
    await add(pod)
    await network('-n', own, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod)
    await network('-n', own, 'link', 'set', name, 'master', 'br0', 'up')
    await network('-n', pod, 'addr', 'add', `${addressOf(name)}/24`, 'dev', 'eth0')
    await network('-n', pod, 'link', 'set', 'eth0', 'up')
    const { text } = await injectText(readFileSync(join(folder, `${name}.yaml`), 'utf8'), injectOptions({ base }))
    const deployment = parseAllDocuments(text)
      .map(each => mapOf(each.toJS()))
      .find(({ kind }) => kind === 'Deployment')
    const template = mapOf(mapOf(deployment!.spec).template)
    mkdirSync(join(work, name))
    const file = join(work, name, 'sidecar.yaml')
    writeFileSync(file, String(mapOf(mapOf(template.metadata).annotations)['outrigger.io/sidecar']))
    startIn(pod, [outrigger, 'proxy', '-c', file], { STATE_DIRECTORY: join(work, name) })
    startIn(pod, commandOf(template, name), { HOSTNAME: `${name}-1` })
  }
  const body = await until('that all of them answer', async () => {
    const { out } = await run(ip, [
      'netns',
      'exec',
      own,
      await obtain('curl'),
      '-s',
      `http://${addressOf('web')}:20000/`,
    ])
    return out.includes('left') && out
  })
  expect(JSON.parse(body)).toEqual({
    from: 'web-1',
    order: { from: 'orders-1', item: 'tea', stock: { from: 'stock-1', left: 17 } },
  })

  function startIn(pod: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
    const child = startChild(ip, ['netns', 'exec', pod, node, ...args], env)
    undo.unshift(() => child.stop())
  }
})

/** What its container runs, in the folder that the ConfigMap becomes. */
function commandOf(template: Json, name: string): string[] {
  const container = mapsOf(mapOf(template.spec).containers).find(each => each.name === name)
  const [program, ...args] = container!.command as string[]
  expect(program).toBe('node')
  return args.map(each => each.replace('/app', join(folder, 'services')))
}
