import { type ChildProcess, spawn } from 'node:child_process'

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export interface Outcome {
  readonly code: number
  readonly output: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly timeoutMs?: number
  /** Called with each line it prints. */
  readonly onLine?: (line: string) => void
}

/**
 * Runs a command to its end and gives back its exit code and all it printed; a command that cannot start has code 127,
 * one killed at the time limit 124.
 */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    running.add(child)
    let output = ''
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, options.timeoutMs ?? 600_000)
    let rest = ''
    const collect = (chunk: Buffer) => {
      output += chunk.toString()
      if (options.onLine === undefined) return
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop()!
      for (const line of lines) options.onLine(line)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('error', error => {
      running.delete(child)
      clearTimeout(timer)
      resolve({ code: 127, output: error.message })
    })
    child.on('close', code => {
      running.delete(child)
      clearTimeout(timer)
      resolve({ code: timedOut ? 124 : (code ?? 1), output })
    })
  })
}

/** Runs a command that must succeed; the error carries the end of what it printed, which is where tools say why. */
export async function must(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, output } = await run(command, args, options)
  if (code !== 0) throw new Error(`\`${command} ${args.join(' ')}\` ended with ${code}: ${lastLines(output)}`)
  return output
}

function lastLines(text: string): string {
  const lines = text.trim().split('\n')
  // apt and pip put the reason on lines that begin so; without any, the last lines have it
  const cause = lines.find(line => line.startsWith('WARNING: Retrying'))
  const telling = [
    ...(cause === undefined ? [] : [cause]),
    ...lines.filter(line => /^(E:|ERROR:)/.test(line)).slice(0, 3),
  ]
  return (telling.length > 0 ? telling : lines.slice(-3)).join(' | ') || '(it printed nothing)'
}
