import { afterAll } from 'vitest'
import { onPath } from '../../peers/find.ts'
import { obtain } from '../../peers/obtain.ts'
import { run as shell } from '../../peers/shell.ts'
import { type Child, startChild } from './child.ts'
import { startConsul } from './consul.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

/** A host of its own: a network namespace, or where the system gives none a loopback address. */
export interface Host {
  readonly address: string
  start(command: string, args: readonly string[]): Child
}

export interface TwoHosts {
  readonly hosts: readonly [Host, Host]
  /** Of one Consul, as both hosts reach it. */
  readonly consul: string
  readonly isolated: boolean
}

/** Undoes the namespaces. */
const made: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const undo of made) await undo()
})

/** Two hosts and a Consul: three network namespaces on one bridge as root, else two loopback addresses. */
export async function twoHosts(): Promise<TwoHosts> {
  return (await namespaces()) ?? (await loopback())
}

async function loopback(): Promise<TwoHosts> {
  const consul = await startConsul()
  await consul.ready()
  const host = (address: string): Host => ({ address, start: (command, args) => startChild(command, args) })
  return { hosts: [host('127.0.0.2'), host('127.0.0.3')], consul: consul.address, isolated: false }
}

async function namespaces(): Promise<TwoHosts | null> {
  const ip = onPath(['ip'])
  if (ip === null || process.getuid?.() !== 0) return null
  const own = `og${process.pid % 100_000}`
  const [middle, ...sides] = [`${own}m`, `${own}a`, `${own}b`] as const
  const did = async (...args: string[]) => (await shell(ip, args)).code === 0
  if (!(await did('netns', 'add', middle))) return null
  made.push(...[middle, ...sides].map(name => () => did('netns', 'del', name)))
  const inside = (name: string, ...args: string[]) => did('-n', name, ...args)
  let works =
    (await inside(middle, 'link', 'add', 'name', 'br0', 'type', 'bridge')) &&
    (await inside(middle, 'link', 'set', 'br0', 'up'))
  works &&=
    (await inside(middle, 'addr', 'add', '10.201.1.1/24', 'dev', 'br0')) &&
    (await inside(middle, 'link', 'set', 'lo', 'up'))
  for (const [i, side] of sides.entries()) {
    works &&= await did('netns', 'add', side)
    works &&= await inside(middle, 'link', 'add', `v${i}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', side)
    works &&=
      (await inside(middle, 'link', 'set', `v${i}`, 'master', 'br0')) &&
      (await inside(middle, 'link', 'set', `v${i}`, 'up'))
    works &&= await inside(side, 'addr', 'add', `10.201.1.${i + 2}/24`, 'dev', 'eth0')
    works &&= (await inside(side, 'link', 'set', 'eth0', 'up')) && (await inside(side, 'link', 'set', 'lo', 'up'))
  }
  if (!works) return null
  const start = (name: string) => (command: string, args: readonly string[]) =>
    startChild(ip, ['netns', 'exec', name, command, ...args])
  const port = await freePort()
  const dev = [
    'agent',
    '-dev',
    '-client',
    '0.0.0.0',
    '-bind',
    '10.201.1.1',
    '-http-port',
    String(port),
    '-log-level',
    'warn',
  ]
  const consul = start(middle)(await obtain('consul'), dev)
  const curl = await obtain('curl')
  const leader = ['netns', 'exec', middle, curl, '-s', `http://10.201.1.1:${port}/v1/status/leader`]
  await until('Consul leads', async () => {
    if (!consul.running()) throw new Error(`Consul has ended: ${consul.out().slice(-2000)}`)
    return (await shell(ip, leader)).output.includes(':8300')
  })
  return {
    hosts: [
      { address: '10.201.1.2', start: start(sides[0]!) },
      { address: '10.201.1.3', start: start(sides[1]!) },
    ],
    consul: `http://10.201.1.1:${port}`,
    isolated: true,
  }
}
