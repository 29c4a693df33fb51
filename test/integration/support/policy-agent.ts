import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, root, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'

export interface RunningAgent extends Child {
  readonly folder: string
  readonly socket: string
  /** Its admin port: the text of a page. */
  page(path: string): Promise<string>
  /** `outrigger policy ...` with this agent. */
  policy(...args: readonly string[]): Promise<Ran>
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

const program = join(root, 'bin/outrigger.js')

/** The agent that users run, with a folder of its own. Resolves once it is ready. */
export async function startAgent(
  config: Readonly<Record<string, unknown>> = {},
  folder = temporaryFolder(),
): Promise<RunningAgent> {
  const socket = join(folder, 'agent.sock')
  const port = await freePort()
  const file = join(folder, 'agent.yaml')
  const whole = { listen: `unix:${socket}`, state: 'state', admin: `127.0.0.1:${port}`, ...config }
  writeFileSync(file, JSON.stringify(whole))
  const child = startChild(node, [program, 'agent', '-c', file])
  await child.said('it is ready', out => out.includes('ready on unix:'))
  return {
    ...child,
    folder,
    socket,
    page: async path => await (await fetch(`http://127.0.0.1:${port}${path}`)).text(),
    policy: (...args) => run(['policy', ...args, '--agent', `unix:${socket}`]),
  }
}

/** The program with these arguments, to its end. */
export async function run(args: readonly string[]): Promise<Ran> {
  const child = startChild(node, [program, ...args], { NO_COLOR: '1', USER: 'ada' })
  const { code } = await child.ended
  return { code, out: child.out(), err: child.err() }
}
