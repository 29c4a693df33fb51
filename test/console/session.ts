import { spawn } from 'node:child_process'
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { node, root, temporaryFolder } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'
import { until } from '../integration/support/until.ts'
import { obtain } from '../peers/obtain.ts'
import { agrees, type Step } from './blocks.ts'

/** A shell in a folder of its own, in which `outrigger`, `npx outrigger`, `node` and `curl` are the real ones. */
export interface Session extends AsyncDisposable {
  /**
   * Runs a step, and gives back what it printed, line by line: again and again until that is what the page shows, or
   * `patienceMs` have passed.
   */
  run(step: Step, patienceMs: number): Promise<string[]>
}

/** Ports as a page has them, and as they are where its steps run. */
interface Ports {
  there(text: string): string
  back(text: string): string
}

/** What the shell says of jobs that were killed, and what a proxy in the background logs. */
const OF_OTHERS = /^(\/bin\/bash: (line \d+: )?\s*\d+ Killed|\{"time":|\[\d{4}-\d\d-\d\dT)/

/** Ports as pages name them. */
const PORT = /(?<=:|listen\(|-port=)(\d{4,5})\b/g

export async function startSession(page: string): Promise<Session> {
  const folder = temporaryFolder()
  cpSync(join(root, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: path => !path.includes('examples/demo'),
  })
  const files = globSync('examples/**/*.yaml', { cwd: folder }).map(name => join(folder, name))
  const ports = await otherPorts([page, ...files.map(file => readFileSync(file, 'utf8'))])
  for (const file of files) writeFileSync(file, ports.there(readFileSync(file, 'utf8')))

  const programs = join(folder, '.programs')
  mkdirSync(programs)
  const program = (name: string, script: string) => {
    writeFileSync(join(programs, name), `#!/bin/bash\n${script}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  // What asks the admin port asks the one that this page has, unless the page names another one.
  const admin = ports.there('127.0.0.1:15000')
  const asks = `case "$1" in proxy|config|dev|--*|'') ;; *) [[ " $* " == *' --admin '* || -n "$OUTRIGGER_ADMIN" ]] || set -- "$@" --admin ${admin} ;; esac`
  program('outrigger', `${asks}\nexec "${node}" "${join(root, 'bin/outrigger.js')}" "$@"`)
  program('npx', `[ "$1" = outrigger ] || { echo "npx $1: not here" >&2; exit 1; }\nexec outrigger "\${@:2}"`)
  const PATH = [
    programs,
    dirname(node),
    ...(await Promise.all([obtain('curl'), obtain('consul')])).map(dirname),
    '/usr/bin',
    '/bin',
  ].join(delimiter)
  const env = { PATH, HOME: folder, XDG_STATE_HOME: folder, TMPDIR: folder, LC_ALL: 'C.UTF-8', NO_COLOR: '1' }
  return talk('/bin/bash', ['--noprofile', '--norc'], { cwd: folder, env }, ports)
}

/** A shell, or a program that leads to one, into which the steps of a page are typed. */
export function talk(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env: NodeJS.ProcessEnv },
  ports: Ports = { there: text => text, back: text => text },
): Session {
  // A group of its own: what it starts ends with it.
  const shell = spawn(program, args, { ...options, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const end = () => {
    if (shell.exitCode === null && shell.signalCode === null) process.kill(-shell.pid!, 'SIGKILL')
  }
  process.on('exit', end)
  let said = ''
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  let asked = 0
  const lines = () =>
    ports
      .back(said)
      .split('\n')
      .filter(line => !OF_OTHERS.test(line))

  return {
    async run({ command, output }, patienceMs) {
      const giveUpAt = performance.now() + patienceMs
      for (;;) {
        said = ''
        const mark = `-- end of ${asked++}`
        shell.stdin.write(`${ports.there(command)}\nstatus=$?; echo "${mark}"; (exit $status)\n`)
        const text = () => lines().filter(line => line !== mark)
        await until(command, () => lines().includes(mark))
        const isDone = () => output === null || agrees(output, text())
        // What goes on in the background says it in its own time.
        const isBackground = /&$/.test(command.trim())
        while (isBackground && !isDone() && performance.now() < giveUpAt)
          await new Promise(resolve => setTimeout(resolve, 50))
        if (isDone() || isBackground || performance.now() > giveUpAt) return text()
        await new Promise(resolve => setTimeout(resolve, 300))
      }
    },
    async [Symbol.asyncDispose]() {
      const gone = new Promise(resolve => shell.once('close', resolve))
      end()
      process.off('exit', end)
      await gone
    },
  }
}

/**
 * Every port that a text names is another one here, so that pages can be run side by side, and beside whatever else
 * runs.
 */
async function otherPorts(texts: readonly string[]): Promise<Ports> {
  const named = new Set(
    texts.flatMap(text => [...text.matchAll(PORT)].map(([, port]) => port!)).filter(port => Number(port) >= 1024),
  )
  const other = new Map<string, string>()
  for (const port of named) other.set(port, String(await freePort()))
  const original = new Map([...other].map(([port, own]) => [own, port]))
  const replace = (text: string, by: ReadonlyMap<string, string>) =>
    text.replace(/\b\d{4,5}\b/g, number => by.get(number) ?? number)
  return { there: (text: string) => replace(text, other), back: (text: string) => replace(text, original) }
}
