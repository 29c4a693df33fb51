import { readdirSync, readFileSync } from 'node:fs'

/**
 * Processes that Node does not know: the orphans of the application, which come to PID 1, or to this process as a
 * subreaper. Node cannot wait for them, so the system calls are made by node:ffi.
 */
export interface ForeignChildren {
  /** They come here, and none stays a zombie. False: this Node has no FFI, or this is not Linux. */
  readonly areTaken: boolean
  /** All processes below this one that are not ours: SIGTERM, after `graceMs` SIGKILL. Resolves when none is left. */
  end(isOurs: (pid: number) => boolean, graceMs: number): Promise<void>
}

interface Calls {
  prctl(option: number, value: bigint, third: bigint, fourth: bigint, fifth: bigint): number
  waitid(kind: number, id: number, info: Buffer, options: number): number
  waitpid(pid: number, status: Buffer, options: number): number
}

const SET_CHILD_SUBREAPER = 36
const P_ALL = 0
const [WNOHANG, WEXITED, WNOWAIT] = [0x1, 0x4, 0x1000000] as const
/** `si_pid` in the `siginfo_t` of a 64-bit Linux. */
const SI_PID = 16
const SIGINFO_BYTES = 128
/** Node reaps its own children within a turn of its loop; until then they hide what is behind them. */
const AGAIN_MS = 20
const LOOK_MS = 50
/** After SIGKILL nothing is waited for longer: a process may hang in the kernel. */
const KILLED_MS = 2_000

/** `isOurs`: Node waits for it. */
export function takeForeignChildren(isOurs: (pid: number) => boolean): ForeignChildren {
  const calls = process.platform === 'linux' ? loadCalls() : null
  const areTaken = calls !== null && (process.pid === 1 || calls.prctl(SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) === 0)
  if (calls !== null && areTaken) reapAlways(calls, isOurs)
  return {
    areTaken,
    async end(isOurs, graceMs) {
      if (!areTaken) return
      const told = new Set<number>()
      const began = performance.now()
      for (;;) {
        const left = childrenOf(process.pid).filter(pid => !isOurs(pid))
        const past = performance.now() - began
        if (left.length === 0 || past > graceMs + KILLED_MS) return
        for (const pid of left) {
          if (past >= graceMs) kill(pid, 'SIGKILL')
          else if (!told.has(pid)) kill(pid, 'SIGTERM')
          told.add(pid)
        }
        await new Promise(resolve => setTimeout(resolve, LOOK_MS))
      }
    },
  }
}

function reapAlways({ waitid, waitpid }: Calls, isOurs: (pid: number) => boolean): void {
  const info = Buffer.alloc(SIGINFO_BYTES)
  const status = Buffer.alloc(4)
  let again: NodeJS.Timeout | null = null

  function reap(): void {
    again = null
    for (;;) {
      info.fill(0)
      if (waitid(P_ALL, 0, info, WNOHANG | WEXITED | WNOWAIT) !== 0) return
      const pid = info.readInt32LE(SI_PID)
      if (pid === 0) return
      if (isOurs(pid)) return soon()
      waitpid(pid, status, WNOHANG)
    }
  }

  function soon(): void {
    again ??= setTimeout(reap, AGAIN_MS)
    again.unref()
  }

  process.on('SIGCHLD', soon)
  // What ended before this listener was there.
  soon()
}

function loadCalls(): Calls | null {
  const { emitWarning } = process
  try {
    // node:ffi warns on standard error that it is experimental; a user cannot act on that.
    process.emitWarning = () => {}
    const ffi = process.getBuiltinModule('node:ffi') as unknown as
      | { dlopen(path: null, definitions: object): { readonly functions: Calls } }
      | undefined
    return (
      ffi?.dlopen(null, {
        prctl: { arguments: ['i32', 'u64', 'u64', 'u64', 'u64'], return: 'i32' },
        waitid: { arguments: ['i32', 'u32', 'pointer', 'i32'], return: 'i32' },
        waitpid: { arguments: ['i32', 'pointer', 'i32'], return: 'i32' },
      }).functions ?? null
    )
  } catch {
    return null
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Of each of its threads, as the kernel keeps them; where it does not (CONFIG_PROC_CHILDREN), by all processes. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap(task =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    )
  } catch {
    const all = readdirSync('/proc').filter(name => /^\d+$/.test(name))
    return all.map(Number).filter(each => parentOf(each) === pid)
  }
}

function parentOf(pid: number): number {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just ended.
  }
}
