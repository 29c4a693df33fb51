import type { ApplicationCheckSpec } from '../../mesh-config/snapshot.ts'

type CommandCheck = Extract<ApplicationCheckSpec, { kind: 'command' }>

const MOST_WORDS = 200

/** Runs the command in a group of its own, which ends with it or at the timeout. */
export function checkCommand({ command, timeoutMs }: CommandCheck): Promise<string> {
  const [program, ...args] = command as [string, ...string[]]
  const { spawn } = process.getBuiltinModule('node:child_process')
  return new Promise(resolve => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    let lastWords = ''
    const end = (trouble: string) => {
      clearTimeout(timer)
      killGroup(child.pid)
      child.stderr.destroy()
      resolve(trouble === '' ? '' : `${program} ${trouble}${lastWords === '' ? '' : `: ${lastWords.trim()}`}`)
    }
    const timer = setTimeout(() => end(`took longer than ${timeoutMs} ms`), timeoutMs)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-MOST_WORDS)
    })
    child.on('error', error => end(`cannot be run: ${error.message}`))
    child.on('exit', (code, signal) => end(code === 0 ? '' : `ended with ${signal ?? `exit code ${code}`}`))
  })
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}
