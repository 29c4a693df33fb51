import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Every process that dev starts leads a group of its own, so that what it starts ends with it, and Ctrl-C in the
 * terminal reaches only dev, which stops the others in order.
 */

/** False: the group has no process any more. */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

/** Of living groups. What ends this process in an orderly way ends them; the watchdog does when it is killed. */
export interface Groups {
  add(pid: number): void
  remove(pid: number): void
  killAll(): void
}

/**
 * Reads `+ pid` and `- pid`. At the end of its input, which comes however dev ends, it ends what is left: asked first, a
 * second later made to.
 */
const WATCHDOG = `
groups=
while read -r sign pid; do
  rest=
  for each in $groups; do [ "$each" = "$pid" ] || rest="$rest $each"; done
  groups=$rest
  [ "$sign" = + ] && groups="$groups $pid"
done
[ -z "$groups" ] && exit 0
for each in $groups; do kill -s TERM -- "-$each" 2>/dev/null; done
sleep 1
for each in $groups; do kill -s KILL -- "-$each" 2>/dev/null; done
`

export function guardGroups(): Groups {
  const living = new Set<number>()
  const watchdog: ChildProcess = spawn('/bin/sh', ['-c', WATCHDOG], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Out of reach of Ctrl-C and of the end of the terminal.
    detached: true,
  })
  // Without it all works but the end by kill -9.
  watchdog.on('error', () => {})
  watchdog.stdin!.on('error', () => {})
  watchdog.unref()
  const killAll = () => {
    for (const pid of living) signalGroup(pid, 'SIGKILL')
  }
  process.on('exit', killAll)
  return {
    add(pid) {
      living.add(pid)
      watchdog.stdin!.write(`+ ${pid}\n`)
    },
    remove(pid) {
      living.delete(pid)
      watchdog.stdin!.write(`- ${pid}\n`)
    },
    killAll,
  }
}
