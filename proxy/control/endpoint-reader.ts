import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { EndpointFile } from '../../mesh-config/endpoint-file.ts'
import type { Clock } from '../core/clock.ts'

/** A list of fifty thousand takes some seconds on a busy machine. */
const LIMIT_MS = 20_000
/** A text that takes long holds up no other, and many files that change at once start no crowd of processes. */
const AT_ONCE = 3

export type EndpointReader = (path: string, text: string) => Promise<EndpointFile>

/**
 * Reads texts with endpoints in processes of their own, some at a time: the schema and YAML libraries would cost this
 * process 20 MB for good, and a text that takes them minutes costs it nothing. Never rejects.
 */
export function endpointReader(clock: Clock, program = ownProgram()): EndpointReader {
  const waiting: (() => void)[] = []
  let running = 0
  return async (path, text) => {
    if (running >= AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve))
    running++
    const file = await read(program, path, text, clock)
    running--
    waiting.shift()?.()
    return file
  }
}

function ownProgram(): string {
  return fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? './read-endpoints.ts' : './read-endpoints.js', import.meta.url),
  )
}

function read(program: string, path: string, text: string, clock: Clock): Promise<EndpointFile> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [program, path], { stdio: ['pipe', 'pipe', 'ignore'] })
    const answer: Buffer[] = []
    const refuse = (why: string) => finish({ ok: false, problems: [`${path}: ${why}`] })
    const timer = clock.timer(() => {
      child.kill('SIGKILL')
      refuse(`reading it took longer than ${LIMIT_MS / 1000} s`)
    })
    const finish = (file: EndpointFile) => {
      timer.cancel()
      resolve(file)
    }
    timer.arm(LIMIT_MS)
    child.on('error', error => refuse(`it cannot be read: ${error.message}`))
    child.stdout.on('data', (chunk: Buffer) => answer.push(chunk))
    // It may end before it has read everything.
    child.stdin.on('error', () => {})
    child.stdin.end(text)
    child.on('close', (code, signal) => {
      if (code === 0) finish(JSON.parse(Buffer.concat(answer).toString('utf8')) as EndpointFile)
      else refuse(`its reader ended with ${signal ?? `code ${code}`}`)
    })
  })
}
