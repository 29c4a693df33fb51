import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { outrigger } from './proxy.ts'

/** Where an agent lives: its file, its policies, its state and its socket, over its restarts. */
export interface AgentHome {
  readonly folder: string
  readonly socket: string
  /** Writes its file anew; what it says of the socket, the state and the admin port stays. */
  write(config: AgentConfig): void
  /** Writes a document into its folder, which it watches. */
  document(service: string, document: object): void
  /** Its admin port: the text of a page. */
  page(path: string): Promise<string>
  /** `outrigger policy ...` with this agent. */
  policy(...args: readonly string[]): Promise<Ran>
  /** `outrigger status ...` with this agent. */
  status(...args: readonly string[]): Promise<Ran>
  /** `outrigger top --once ...` with this agent. */
  top(...args: readonly string[]): Promise<Ran>
  /** The program that users run. Resolves once it is ready. */
  start(): Promise<RunningAgent>
}

export type RunningAgent = AgentHome & Child

/** An agent file, as one would write it. JSON is YAML. */
export type AgentConfig = Readonly<Record<string, unknown>>

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export async function startAgent(config: AgentConfig = {}, env: NodeJS.ProcessEnv = {}): Promise<RunningAgent> {
  return (await agentHome(config, env)).start()
}

export async function agentHome(
  config: AgentConfig = {},
  env: NodeJS.ProcessEnv = {},
  folder: string = temporaryFolder(),
): Promise<AgentHome> {
  // A socket's address has 107 bytes at most, which a folder of the tests may exceed.
  const short = mkdtempSync('/tmp/outrigger-')
  process.on('exit', () => rmSync(short, { recursive: true, force: true }))
  const socket = join(short, 'agent.sock')
  const file = join(folder, 'agent.yaml')
  const port = await freePort()
  mkdirSync(join(folder, 'policies'), { recursive: true })
  const home: AgentHome = {
    folder,
    socket,
    write(next) {
      const whole = { listen: `unix:${socket}`, state: 'state', admin: `127.0.0.1:${port}`, ...next }
      writeFileSync(file, JSON.stringify(whole))
    },
    document: (service, document) =>
      writeFileSync(join(folder, 'policies', `${service}.json`), JSON.stringify(document)),
    page: async path => await (await fetch(`http://127.0.0.1:${port}${path}`)).text(),
    policy: (...args) => run(['policy', ...args, '--agent', `unix:${socket}`]),
    status: (...args) => run(['status', ...args, '--agent', `unix:${socket}`]),
    top: (...args) => run(['top', '--once', ...args, '--agent', `unix:${socket}`]),
    async start() {
      const child = startChild(node, [outrigger, 'agent', '-c', file], env)
      await child.said('that it is ready', out => out.includes('ready on unix:'))
      return { ...home, ...child }
    },
  }
  home.write(config)
  return home
}

/** The program with these arguments, to its end. */
export async function run(args: readonly string[]): Promise<Ran> {
  const child = startChild(node, [outrigger, ...args], { NO_COLOR: '1', USER: 'ada' })
  const { code } = await child.ended
  return { code, out: child.out(), err: child.err() }
}
