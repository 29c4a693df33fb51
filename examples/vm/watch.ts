import { setTimeout as sleep } from 'node:timers/promises'
import { type Machine, type Program, REGISTRY, WEB } from './machines.ts'

/** What is asked of the machines, and of the registry. */

const PATIENCE_MS = 60_000

/** How many calls were answered how: the status and the names of those that answered, or what went wrong. */
export type Answers = Readonly<Record<string, number>>

const callsOf = (times: number, pauseMs: number) => [
  ...['node', 'examples/support/call.js', `http://${WEB}:8080/`],
  ...[`${times}`, `${pauseMs}`],
]

export async function calls(from: Machine, times: number): Promise<Answers> {
  return JSON.parse(await from.run(callsOf(times, 0))) as Answers
}

/** A hundred calls in two seconds and a bit; `meanwhile` begins when a tenth of them is answered. */
export async function callsDuring(from: Machine, meanwhile: () => Promise<unknown>): Promise<Answers> {
  const caller = from.start(callsOf(100, 20))
  await until('that calls are under way', async () => /under way/.test(caller.lastWords(9)))
  await meanwhile()
  await caller.gone
  return JSON.parse(caller.lastWords(1)) as Answers
}

export function isAll(answers: Answers, good: RegExp): boolean {
  return Object.keys(answers).every(answer => good.test(answer))
}

/** With SIGKILL. */
export async function kill(machine: Machine, pid: number): Promise<void> {
  await machine.run(['sh', '-c', `kill -9 ${pid}`])
}

/** By their command lines, as the machine counts them. */
export async function processesOf(machine: Machine): Promise<{ sidecar: number; application: number }> {
  const list = await machine.run(['sh', '-c', 'for p in /proc/[0-9]*; do echo "$p $(tr "\\0" " " < $p/cmdline)"; done'])
  const find = (words: RegExp) => {
    const line = list.split('\n').find(each => words.test(each))
    if (line === undefined) throw new Error(`${machine.name} has no process ${words}:\n${list}`)
    return Number(/\d+/.exec(line)![0])
  }
  return { sidecar: find(/outrigger(\.js)? proxy /), application: find(/^\S+ node \S*service\.js/) }
}

/** `path` of the HTTP API of Consul; empty: no answer that says anything. */
export async function ask(network: Machine, path: string): Promise<string> {
  const script =
    'fetch(process.argv[1]).then(async a => console.log(a.ok ? await a.text() : ""), () => console.log(""))'
  const text = (await network.run(['node', '-e', script, `http://${REGISTRY}:8500${path}`])).trim()
  return text === '""' ? '' : text
}

export async function instancesOf(network: Machine, service: string): Promise<string[]> {
  const found = JSON.parse((await ask(network, `/v1/health/service/${service}?passing`)) || '[]') as {
    Service: { Address: string }
  }[]
  return found.map(({ Service }) => Service.Address).sort()
}

interface Flight {
  readonly direction: 'inbound' | 'outbound'
  readonly authority: string
  readonly service: string
  readonly status: number
  readonly attempts: readonly { readonly endpoint: string }[]
}

export async function flightsOf(machine: Machine): Promise<readonly Flight[]> {
  const script = 'fetch("http://127.0.0.1:15000/flights").then(async a => console.log(await a.text()))'
  return (JSON.parse(await machine.run(['node', '-e', script])) as { flights: Flight[] }).flights
}

export async function until<T>(what: string, ask: () => Promise<T | null | false>, program?: Program): Promise<T> {
  const giveUpAt = performance.now() + PATIENCE_MS
  while (performance.now() < giveUpAt) {
    const how = program?.ended() ?? null
    if (how !== null) throw new Error(`A program ended instead of starting (${how}):\n${program?.lastWords(8)}`)
    const answer = await ask()
    if (answer !== null && answer !== false) return answer
    await sleep(100)
  }
  throw new Error(`Not within ${PATIENCE_MS / 1000} s: ${what}\n${program?.lastWords(8) ?? ''}`)
}
