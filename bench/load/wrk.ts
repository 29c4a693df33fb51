import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../test/peers/obtain.ts'
import { runToEnd, temporaryFolder } from './children.ts'
import type { Load, LoadResult } from './traffic/traffic.ts'

/** A closed loop of one thread, HTTP/1.1. Of a body only the length counts. */
export async function wrk(load: Load): Promise<LoadResult> {
  const script = load.body.length > 0 ? ['-s', postScript(load.body.length)] : []
  const args = [
    '-t1',
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    '--timeout',
    '10s',
    ...script,
    `http://127.0.0.1:${load.port}${load.path}`,
  ]
  const output = await runToEnd({ command: await obtain('wrk'), args }, (load.seconds + 15) * 1000)
  const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(output) ?? []
  if (requests === undefined || seconds === undefined)
    throw new Error(`wrk said nothing of its requests: ${output.trim()}`)
  return { requests: Number(requests), perSecond: Number(requests) / Number(seconds), failures: failuresIn(output) }
}

function failuresIn(output: string): number {
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0)
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? []
  return socket.reduce((sum, count) => sum + Number(count), refused)
}

function postScript(bytes: number): string {
  const file = join(temporaryFolder(), `post-${bytes}.lua`)
  writeFileSync(file, `wrk.method = "POST"\nwrk.body = string.rep("x", ${bytes})\n`)
  return file
}
