import { execFile } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** The one file that runs programs and asks the system. */

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

// The PATH of an ordinary user lacks the folders of these programs.
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']

/** The absolute path of a program; null: it is not there. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(isAbsolute), ...SYSTEM_FOLDERS]
  return folders.map(folder => join(folder, name)).find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const LOCK_TROUBLE = /xtables\.lock.*(Read-only|No such file|Permission denied)|can't open lock file/i
/** Others may hold the lock of xtables for long on a machine with many rules. */
const PATIENCE_MS = 90_000

/** Never rejects: what could not be started has the code 127. */
export async function run(program: string, args: readonly string[], input = ''): Promise<Ran> {
  const ran = await once(program, args, input, {})
  // A container whose files are read-only: its network namespace is its own, and so would be the lock.
  return ran.code !== 0 && LOCK_TROUBLE.test(ran.stderr)
    ? once(program, args, input, { XTABLES_LOCKFILE: '/dev/null' })
    : ran
}

function once(program: string, args: readonly string[], input: string, env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise(done => {
    const child = execFile(
      program,
      args,
      // Messages are compared with English ones. A host of Kubernetes may have megabytes of rules.
      { env: { ...process.env, LC_ALL: 'C', ...env }, maxBuffer: 256 * 1024 ** 2, timeout: PATIENCE_MS },
      (error, stdout, stderr) => {
        const late = error?.killed === true ? `\n${program} did not end within ${PATIENCE_MS / 1000} s` : ''
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127
        done({ code, stdout, stderr: `${stderr.trim() === '' && error !== null ? error.message : stderr}${late}` })
      },
    )
    // A program that ends without reading its input.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}

/** Null: there is no such file, or it cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** Of this process; null: this is not Linux. */
export function capabilities(): { readonly netAdmin: boolean; readonly netRaw: boolean } | null {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')
  if (effective === null) return null
  const bits = BigInt(`0x${effective[1]}`)
  return { netAdmin: ((bits >> 12n) & 1n) === 1n, netRaw: ((bits >> 13n) & 1n) === 1n }
}

/** The first line of what a program says of its failure, without its own name. */
export function reasonOf({ stderr, code }: Ran): string {
  const lines = stderr
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !/^# Warning|^Try `|^Command failed/.test(line))
  return (lines[0] ?? `it ended with code ${code}`).slice(0, 300)
}
