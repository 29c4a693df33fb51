import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { get } from '../../support/get.ts'
import { type Running, startNode, startSidecar } from '../../support/processes.ts'
import type { Instance } from './plan.ts'

/** What `node --import outrigger/propagate` names where the package is installed. */
const PROPAGATE = resolve(import.meta.dirname, '../../../propagate/main.ts')
const SERVICES = resolve(import.meta.dirname, '../services')
const READY_WITHIN_MS = 120_000

/** The two processes of an instance: as in a pod, or on a machine of its own, they live and die together. */
export interface RunningInstance {
  readonly instance: Instance
  readonly app: Running
  readonly sidecar: Running
}

/** `onEnd`: one of the two ended, and nobody had asked it to. */
export function startInstance(folder: string, instance: Instance, onEnd: (text: string) => void): RunningInstance {
  const { name, service, version, ports } = instance
  const env = {
    NAME: name,
    PORT: String(ports.app),
    SIDECAR: String(ports.outbound),
    ...(version !== null && { VERSION: version }),
  }
  const file = (kind: string) => join(folder, `${name}.${kind}`)
  const app = startNode(name, ['--import', PROPAGATE, join(SERVICES, `${service}.ts`)], env, file('app.log'), how =>
    onEnd(`${name} ended: ${how}`),
  )
  const sidecar = startSidecar(`the sidecar of ${name}`, file('yaml'), file('sidecar.log'), how =>
    onEnd(`the sidecar of ${name} ended: ${how}`),
  )
  return { instance, app, sidecar }
}

/** Once both answer. Rejects with what went wrong, what the process said last, and what to do. */
export async function whenReady({ instance, app, sidecar }: RunningInstance): Promise<void> {
  await Promise.all([
    until(sidecar, async () => {
      const { status, body } = await get(instance.ports.admin, '/ready', { timeoutMs: 2_000 })
      if (status !== 200) throw new Error(`/ready answers ${status}: ${body.trim()}`)
    }),
    until(app, () => listens(instance.ports.app)),
  ])
}

/** `isFine` rejects with why not yet. */
async function until(running: Running, isFine: () => Promise<void>): Promise<void> {
  const giveUpAt = performance.now() + READY_WITHIN_MS
  let why = 'it does not listen'
  while (performance.now() < giveUpAt) {
    const how = running.ended()
    if (how !== null) throw new Error(trouble(running, `ended instead of starting (${how})`))
    try {
      return await isFine()
    } catch (error) {
      why = error instanceof Error ? error.message : String(error)
    }
    await sleep(25)
  }
  throw new Error(trouble(running, `was not ready within ${READY_WITHIN_MS / 1000} s (${why})`))
}

function listens(port: number): Promise<void> {
  return new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      done()
    })
    socket.once('error', failed)
  })
}

function trouble(running: Running, what: string): string {
  const words = running.lastWords(8)
  return `${running.name} ${what}.\n${words === '' ? 'It printed nothing.' : `It printed:\n${words.replace(/^/gm, '  | ')}`}\n${remedy(words)}\nIts command: ${running.command}`
}

function remedy(words: string): string {
  if (/EADDRINUSE|in use/.test(words))
    return 'What to do: another program took its port just now. Start the demo again: it looks for free ports each time.'
  if (/Cannot find (module|package)|ERR_MODULE_NOT_FOUND/.test(words))
    return 'What to do: a package or file is missing. Run "npm ci", then "npm run demo".'
  if (/ERR_UNKNOWN_FILE_EXTENSION|SyntaxError/.test(words))
    return `What to do: this is Node ${process.versions.node}; start the demo with "npm run demo", which brings Node 26.`
  if (/ENOMEM|heap|Killed/.test(words)) return 'What to do: there is not enough memory; the demo needs about 1.2 GB.'
  return 'What to do: the lines above say why; if they do not, run its command by hand (its file is kept).'
}
