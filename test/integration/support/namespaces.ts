import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'vitest'
import { tool } from '../../peers/find.ts'
import { obtain } from '../../peers/obtain.ts'
import { node, root } from './child.ts'
import type { Call, Order } from './namespace-process.ts'

/** A pod and the world around it: two network namespaces with a cable between them. Rules are set in the pod alone. */

export const POD = { 4: '10.77.0.2', 6: 'fd77::2' } as const
export const WORLD = { 4: '10.77.0.1', 6: 'fd77::1' } as const
/** Of the world as well. */
export const OTHER = { 4: '10.77.0.9', 6: 'fd77::9' } as const

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Namespace extends AsyncDisposable {
  readonly name: string
  /** Runs a program in it; its code is not looked at. */
  run(program: string, args: readonly string[], options?: { input?: string; env?: NodeJS.ProcessEnv }): Promise<Ran>
  /** The same; rejects when it fails. */
  must(program: string, args: readonly string[], input?: string): Promise<string>
  /** The process in it does this. */
  order(order: Order): Promise<string>
  /** Where a connection arrives: `15001 for 10.77.0.1:8080`, `direct 8080`, or the code of an error. */
  reach(call: Call & { readonly keep?: string }): Promise<string>
}

export interface Pod extends AsyncDisposable {
  readonly pod: Namespace
  readonly world: Namespace
  /** `outrigger intercept ...` in the pod. */
  intercept(...args: readonly string[]): Promise<Ran>
}

let count = 0

export async function startPod(): Promise<Pod> {
  // They are on every machine that runs these tests, once they are obtained.
  for (const peer of ['ip', 'nft', 'iptables'] as const) await obtain(peer)
  const id = `${process.pid}-${++count}`
  const names = { pod: `icpt-pod-${id}`, world: `icpt-world-${id}` }
  const made = await execute('ip', ['netns', 'add', names.pod])
  if (made.code !== 0)
    throw new Error(
      `These tests make network namespaces, which this machine does not permit: run them as root, in a container with --privileged or the capabilities NET_ADMIN and SYS_ADMIN.\n${made.err}`,
    )
  const pod = await startNamespace(names.pod)
  await execute('ip', ['netns', 'add', names.world])
  const world = await startNamespace(names.world)
  await pod.must('ip', ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', names.world])
  for (const [namespace, addresses] of [
    [pod, [POD]],
    [world, [WORLD, OTHER]],
  ] as const) {
    for (const address of addresses) {
      await namespace.must('ip', ['addr', 'add', `${address[4]}/24`, 'dev', 'eth0'])
      await namespace.must('ip', ['addr', 'add', `${address[6]}/64`, 'dev', 'eth0', 'nodad'])
    }
    await namespace.must('ip', ['link', 'set', 'lo', 'up'])
    await namespace.must('ip', ['link', 'set', 'eth0', 'up'])
  }
  // Virtual addresses need a route to leave by, as every pod has one.
  await pod.must('ip', ['route', 'add', 'default', 'via', WORLD[4]])
  await pod.must('ip', ['-6', 'route', 'add', 'default', 'via', WORLD[6]])
  return {
    pod,
    world,
    intercept: (...args) => pod.run(node, [join(root, 'bin/outrigger.js'), 'intercept', ...args]),
    async [Symbol.asyncDispose]() {
      await pod[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    },
  }
}

async function startNamespace(name: string): Promise<Namespace> {
  const script = join(import.meta.dirname, 'namespace-process.ts')
  const process_ = spawn(tool('ip'), ['netns', 'exec', name, node, '--no-warnings', script], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const waiting = new Map<number, (result: string) => void>()
  process_.on('message', ({ id, result }: { id: number; result: string }) => waiting.get(id)?.(result))
  let id = 0
  const order = (what: Order) =>
    new Promise<string>(done => {
      waiting.set(++id, done)
      process_.send({ id, order: what })
    })
  const run: Namespace['run'] = (program, args, options = {}) =>
    execute('ip', ['netns', 'exec', name, tool(program), ...args], options)
  return {
    name,
    run,
    order,
    async must(program, args, input = '') {
      const { code, out, err } = await run(program, args, { input })
      if (code !== 0) throw new Error(`${program} ${args.join(' ')} in ${name}: ${err}`)
      return out
    },
    async reach(call) {
      const text = await order({ do: 'connect', ...call })
      if (!text.startsWith('{')) return text
      const { at, meant } = JSON.parse(text) as { at: number; meant: string | null }
      return meant === null ? `direct ${at}` : `${at} for ${meant}`
    },
    async [Symbol.asyncDispose]() {
      await ended(process_)
      await execute('ip', ['netns', 'del', name])
    },
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise(done => {
    if (child.exitCode !== null || child.signalCode !== null) return done()
    child.once('exit', () => done())
    child.kill('SIGKILL')
  })
}

export function execute(
  program: string,
  args: readonly string[],
  { input = '', env = {} }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise(done => {
    const child = execFile(
      tool(program),
      args,
      // Debian keeps these tools where the PATH of an ordinary user does not look.
      { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, NO_COLOR: '1', ...env }, cwd: root },
      (error, out, err) =>
        done({
          code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1,
          out,
          err: `${err}${error?.signal ?? ''}`,
        }),
    )
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

export function expectDone({ code, out, err }: Ran): void {
  expect({ code, out, err }).toMatchObject({ code: 0 })
}
