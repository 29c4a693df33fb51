import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { type Answer, get } from './get.ts'
import { root, startSidecar } from './processes.ts'

/**
 * A small example: toy services in this process, one real sidecar, calls through it, and what to try next. Ports are
 * those in its sidecar.yaml.
 */
export interface Example {
  readonly folder: string
  readonly services: readonly ToyService[]
  readonly admin: number
  /** Makes calls and shows what came of them. Throws when it is not what the README says. */
  play(stage: Stage): Promise<void>
  readonly tryNext: readonly string[]
}

export interface ToyService {
  readonly name: string
  readonly port: number
  answer(request: IncomingMessage, response: ServerResponse): void
}

export interface Stage {
  /** By default with nothing but Host: localhost. */
  call(port: number, path?: string, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** A page of the admin port as text for people. */
  page(path: string): Promise<string>
  say(text: string): void
  /** What the README promises. */
  expect(holds: boolean, what: string): void
}

const READY_WITHIN_MS = 15_000
/** Added to every port, so that tests need not wait for each other. */
export const shift = Number(process.env.OUTRIGGER_EXAMPLE_SHIFT ?? 0)

export async function runExample({ folder, services, admin, play, tryNext }: Example): Promise<void> {
  const once = process.argv.includes('--once')
  const servers = await Promise.all(services.map(listen))
  const file = join(folder, 'sidecar.yaml')
  const work = mkdtempSync(join(tmpdir(), `outrigger-${basename(folder)}-`))
  process.on('exit', () => rmSync(work, { recursive: true, force: true }))
  const log = join(work, 'sidecar.log')
  const sidecar = startSidecar(
    'the sidecar',
    shift === 0 ? file : shifted(file, join(work, 'sidecar.yaml')),
    log,
    () => {},
  )
  try {
    await untilReady(admin + shift, () => (sidecar.ended() === null ? null : sidecar.lastWords(8)))
    say(`${styleText('bold', `node bin/outrigger.js proxy -c ${relative(root, file)}`)}\n${sidecar.lastWords(4)}`)
    await play({
      call: (port, path = '/', headers = {}) => get(port + shift, path, { headers }),
      page: path => page(admin + shift, path),
      say,
      expect,
    })
    if (once) return
    say(
      `${styleText('bold', 'It goes on running. Try, in another terminal:')}\n${tryNext.map(line => `  ${line}`).join('\n')}\nCtrl-C ends it.`,
    )
    await new Promise<void>(resolve => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
  } finally {
    // It drains as it always does; an example need not wait for that.
    sidecar.signal('SIGKILL')
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
}

/** Ends the process; what went wrong is told in one line. */
export function run(example: Example): void {
  runExample(example).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`)
      process.exit(1)
    },
  )
}

function listen({ name, port, answer }: ToyService) {
  return new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer(answer)
    server.once('error', error =>
      reject(
        new Error(
          `${name} cannot listen on 127.0.0.1:${port + shift} (${error.message}): end what does, or change the port here and in sidecar.yaml`,
        ),
      ),
    )
    server.listen(port + shift, '127.0.0.1', () => resolve(server))
  })
}

/** A copy of the file with every port moved. */
export function shifted(file: string, copy: string): string {
  const text = readFileSync(file, 'utf8').replace(
    /127\.0\.0\.1:(\d+)/g,
    (_, port: string) => `127.0.0.1:${Number(port) + shift}`,
  )
  writeFileSync(copy, text)
  return copy
}

async function untilReady(admin: number, lastWords: () => string | null): Promise<void> {
  const giveUpAt = performance.now() + READY_WITHIN_MS
  while (performance.now() < giveUpAt) {
    const words = lastWords()
    if (words !== null) throw new Error(`The sidecar ended instead of starting:\n${words}`)
    const answer = await get(admin, '/ready', { timeoutMs: 1_000 }).catch(() => null)
    if (answer?.status === 200) return
    await sleep(25)
  }
  throw new Error(
    `The sidecar was not ready within ${READY_WITHIN_MS / 1000} s: see http://127.0.0.1:${admin}/ready?verbose`,
  )
}

async function page(admin: number, path: string): Promise<string> {
  const { body } = await get(admin, path, { headers: { accept: 'text/plain' } })
  return body.trimEnd()
}

function say(text: string): void {
  process.stdout.write(`\n${text}\n`)
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`This is not as it should be: ${what}`)
}
