import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { tool } from '../../peers/find.ts'
import { obtain } from '../../peers/obtain.ts'
import { must, run as shell } from '../../peers/shell.ts'
import { type Child, node, root, startChild } from './child.ts'
import { outrigger } from './proxy.ts'

/** The user of the sidecar, whose connections are not redirected. */
const SIDECAR_USER = 1337

/** A host of its own, whose TCP connections are redirected to its sidecar; and another one beside it. */
export interface Redirected {
  /** A way from here to the near one, besides. */
  wayIn(): Promise<{ readonly ours: string }>
  /** A file that the sidecar may read: its path. */
  put(name: string, text: string): string
  readonly near: Place
  readonly far: Place
  readonly farAddress: string
  readonly farAddress6: string
  readonly nearAddress: string
  /** The sidecar, as a user of its own; `isExempt` false: the mistake that its own connections are redirected too. */
  startSidecar(config: Readonly<Record<string, unknown>>): Child
}

export interface Place {
  start(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Child
  /** What it prints; what it says on standard error is added where it fails. */
  run(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string>
}

const undo: (() => unknown)[] = []
afterAll(async () => {
  for (const each of undo.reverse()) await each()
})

/** `hosts`: names that the near one resolves to the far one. */
export async function redirected(hosts: readonly string[], isExempt = true): Promise<Redirected> {
  const [ip, nft, setpriv] = [await obtain('ip'), await obtain('nft'), tool('setpriv')]
  const own = `tp-${process.pid % 100_000}`
  const [near, far] = [`${own}a${isExempt ? '' : 'x'}`, `${own}b${isExempt ? '' : 'x'}`]
  const [nearAddress, farAddress, farAddress6] = ['10.202.1.1', '10.202.1.2', 'fd00:202::2']
  const made = await shell(ip, ['netns', 'add', near])
  if (made.code !== 0)
    throw new Error(
      `These tests make network namespaces, which this machine does not permit: run them as root, in a container with --privileged or the capabilities NET_ADMIN and SYS_ADMIN.\n${made.output}`,
    )
  undo.push(() => shell(ip, ['netns', 'del', near]))
  await must(ip, ['netns', 'add', far])
  undo.push(() => shell(ip, ['netns', 'del', far]))
  const inside = (name: string, ...args: string[]) => must(ip, ['-n', name, ...args])
  await inside(near, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', far)
  for (const [name, v4, v6] of [
    [near, nearAddress, 'fd00:202::1'],
    [far, farAddress, farAddress6],
  ] as const) {
    await inside(name, 'addr', 'add', `${v4}/24`, 'dev', 'eth0')
    await inside(name, 'addr', 'add', `${v6}/64`, 'dev', 'eth0', 'nodad')
    await inside(name, 'link', 'set', 'eth0', 'up')
    await inside(name, 'link', 'set', 'lo', 'up')
  }
  // Black holes are addresses of the same network where nobody answers, so packets are dropped and not refused.
  await inside(near, 'route', 'add', 'default', 'via', farAddress)
  const etc = join('/etc/netns', near)
  mkdirSync(etc, { recursive: true })
  undo.push(() => rmSync(etc, { recursive: true, force: true }))
  writeFileSync(join(etc, 'hosts'), `127.0.0.1 localhost\n${hosts.map(name => `${farAddress} ${name}\n`).join('')}`)
  const exempt = isExempt ? `meta skuid ${SIDECAR_USER} return; ` : ''
  await must(ip, [
    ...['netns', 'exec', near, nft],
    `table inet tp {
      chain output { type nat hook output priority -100; ${exempt}fib daddr type local return; meta l4proto tcp redirect to :15001; }
      chain prerouting { type nat hook prerouting priority -100; meta l4proto tcp redirect to :15006; }
    }`,
  ])
  const place = (name: string): Place => {
    const enter = (command: string, args: readonly string[]) => ['netns', 'exec', name, tool(command), ...args]
    return {
      start: (command, args, env) => startChild(ip, enter(command, args), env),
      async run(command, args, env) {
        const child = startChild(ip, enter(command, args), env)
        const { code } = await child.ended
        return code === 0 ? child.out() : `${child.out()}\n(${code}) ${child.err()}`
      },
    }
  }
  return {
    near: place(near),
    far: place(far),
    nearAddress,
    farAddress,
    farAddress6,
    put(name, text) {
      writeFileSync(join(etc, name), text, { mode: 0o644 })
      return join(etc, name)
    },
    async wayIn() {
      const [ours, theirs, name] = ['10.203.1.1', '10.203.1.2', `tp${process.pid % 100_000}`]
      await must(ip, ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth1', 'netns', near])
      undo.push(() => shell(ip, ['link', 'del', name]))
      await must(ip, ['addr', 'add', `${ours}/24`, 'dev', name])
      await must(ip, ['link', 'set', name, 'up'])
      await inside(near, 'addr', 'add', `${theirs}/24`, 'dev', 'eth1')
      await inside(near, 'link', 'set', 'eth1', 'up')
      return { ours }
    },
    startSidecar(config) {
      const file = join(etc, 'sidecar.yaml')
      const whole = { admin: '127.0.0.1:15000', state: 'off', drain: { delay: '0s', timeout: '2s' }, ...config }
      writeFileSync(file, JSON.stringify(whole), { mode: 0o644 })
      const user = ['--reuid', `${SIDECAR_USER}`, '--regid', `${SIDECAR_USER}`, '--clear-groups']
      return place(near).start(setpriv, [...user, node, outrigger, 'proxy', '-c', file], {
        HOME: '/nonexistent',
        NODE_COMPILE_CACHE: '',
      })
    },
  }
}

export const farServers = join(root, 'test/integration/support/far-servers.ts')
