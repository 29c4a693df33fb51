import type { Command } from 'commander'
import { withoutUserinfo } from '../mesh-config/secret.ts'
import { printable, printableLines } from '../proxy/core/printable.ts'
import { colours } from './colours.ts'
import { type Painting, paint } from './paint.ts'

/** Exit codes of the commands that ask a running sidecar. */
export const EXIT = {
  done: 0,
  /** No process answers there, or the sidecar could not. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** It answered, and the answer is no: not ready, the request would fail. */
  no: 3,
} as const

export interface AdminOptions {
  readonly admin: string
  readonly json?: true
}

export interface AdminAnswer {
  readonly status: number
  readonly text: string
}

/** The options that all of them have. */
export function withAdmin(command: Command): Command {
  return command
    .option('-a, --admin <address>', 'the admin port of the sidecar', process.env.OUTRIGGER_ADMIN ?? '127.0.0.1:15000')
    .option('--json', 'JSON, for programs')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 no sidecar answers there, 2 the command line is wrong, 3 the answer is no\n',
    )
}

/** One page of the admin port. Null: no process answers there, and the error is printed. */
const ASK_AGAIN_MS = 100

export async function askAdmin(
  admin: string,
  path: string,
  query: URLSearchParams,
  method: 'GET' | 'POST' = 'GET',
): Promise<AdminAnswer | null> {
  const url = URL.parse(`${admin.includes('://') ? admin : `http://${admin}`}${path}?${query}`)
  if (url === null || url.protocol !== 'http:') {
    process.stderr.write(
      `--admin ${printable(withoutUserinfo(admin))} is no address: write host:port, such as 127.0.0.1:15000\n`,
    )
    process.exitCode = EXIT.usage
    return null
  }
  try {
    return await request(url, method)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      `no sidecar answers at ${printable(withoutUserinfo(admin))} (${printable(withoutUserinfo(reason)) || 'connection refused'}): is it running, and is --admin its admin port?\n`,
    )
    process.exitCode = EXIT.failed
    return null
  }
}

/** Asks again and again until the page says 200, or the time is over. */
export async function waitForAdmin(admin: string, path: string, limitMs: number): Promise<void> {
  const url = URL.parse(`${admin.includes('://') ? admin : `http://${admin}`}${path}`)
  const giveUpAt = performance.now() + limitMs
  while (url !== null && performance.now() < giveUpAt) {
    const status = await request(url, 'GET').then(
      answer => answer.status,
      () => 0,
    )
    if (status === 200) return
    await new Promise(resolve => setTimeout(resolve, ASK_AGAIN_MS))
  }
}

/** Not `fetch`: loading it takes longer than all the rest. */
function request(url: URL, method: 'GET' | 'POST'): Promise<AdminAnswer> {
  const { request: send } = process.getBuiltinModule('node:http')
  const { promise, resolve, reject } = Promise.withResolvers<AdminAnswer>()
  const outgoing = send(url, { method, agent: false }, answer => {
    let text = ''
    answer.setEncoding('utf8')
    answer.on('data', (chunk: string) => (text += chunk))
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
    answer.on('error', reject)
  })
  outgoing.on('error', reject)
  outgoing.end()
  return promise
}

/** Prints the answer, to standard output when it is good, and returns its exit code. */
export function tell({ status, text }: AdminAnswer, painting: Painting, isJson = false): number {
  const isUnready = status === 503 && painting === 'ready'
  const isGood = status < 400 || isUnready
  const output = isGood ? process.stdout : process.stderr
  const safe = printableLines(text)
  output.write(isJson || !isGood ? safe : paint(safe, painting, colours(output, process.env)))
  if (isUnready) return EXIT.no
  if (isGood) return EXIT.done
  return status < 500 ? EXIT.usage : EXIT.failed
}
