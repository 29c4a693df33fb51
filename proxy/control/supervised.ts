import { type InheritedLines, inheritedLines } from '../system/inherited-lines.ts'

/** The application as the supervisor (`outrigger run`) has it. `unknown`: there is no supervisor. */
export type ApplicationIs = 'unknown' | 'starting' | 'running' | 'gone'

/** What the supervisor wants done. */
export interface SupervisorActions {
  /** Not ready, deregister, wait for the spread, drain inbound; outbound serves on. Resolves when that is done. */
  leave(): Promise<void>
  /** Drain all, and exit. */
  end(): void
  applicationIs(state: ApplicationIs): void
  /** The supervisor has ended without a word. */
  lost(): void
}

/** The supervisor that started this proxy, where one did: docs/decisions/0052 has the messages, docs/run.md the order. */
export interface Supervised {
  readonly isThere: boolean
  applicationIs(): ApplicationIs
  /** From here on its wishes are acted on; what it said before counts too. */
  obey(actions: SupervisorActions): void
  /** The listeners are open. */
  ready(): void
  /** This proxy was asked to end (SIGTERM, POST /drain): the supervisor decides when. False: there is none to ask. */
  askToStop(why: string): boolean
  /** This proxy leaves, asked by the supervisor or by others; how long that may take. */
  leaving(limitMs: number): void
  /** The descriptor of the socket for a successor, which reads on; this process reads no more. Null: no supervisor. */
  handOver(): number | null
  /** There is no successor after all. */
  takeBack(): void
  /** `pid` is the proxy from here on, and this one ends. */
  succeededBy(pid: number): void
}

type Wish =
  | { readonly do: 'leave' }
  | { readonly do: 'end' }
  | { readonly do: 'application'; readonly is: ApplicationIs }

export const supervisorVariable = 'OUTRIGGER_SUPERVISOR_FD'

/** Takes the socket that the environment names; programs that this one starts do not see the variable. */
export function supervised(env: NodeJS.ProcessEnv, open: typeof inheritedLines = inheritedLines): Supervised {
  const named = env[supervisorVariable]
  delete env[supervisorVariable]
  let application: ApplicationIs = 'unknown'
  let actions: SupervisorActions | null = null
  let isLost = false
  const early: Wish[] = []
  const lines: InheritedLines | null = named === undefined ? null : open(Number(named), heard, closed)
  if (lines !== null) application = 'starting'

  function heard(line: string): void {
    const wish = wishOf(line)
    if (wish?.do === 'application') application = wish.is
    if (wish !== null && actions === null) early.push(wish)
    else if (wish !== null) act(wish)
  }

  function act(wish: Wish): void {
    if (wish.do === 'leave') void actions?.leave().then(() => say({ say: 'inbound-drained' }))
    else if (wish.do === 'end') actions?.end()
    else actions?.applicationIs(wish.is)
  }

  function closed(): void {
    isLost = true
    actions?.lost()
  }

  function say(line: object): void {
    if (!isLost) lines?.write(JSON.stringify(line))
  }

  return {
    isThere: lines !== null,
    applicationIs: () => application,
    obey(given) {
      actions = given
      for (const wish of early.splice(0)) act(wish)
      if (isLost) given.lost()
    },
    ready: () => say({ say: 'ready', pid: process.pid }),
    askToStop(why) {
      if (lines === null || isLost) return false
      say({ say: 'stop', why })
      return true
    },
    leaving: limitMs => say({ say: 'leaving', limitMs }),
    handOver: () => (lines === null || isLost ? null : lines.pause()),
    takeBack: () => lines?.resume(),
    succeededBy: pid => say({ say: 'successor', pid }),
  }
}

/** Null: not one of this version. */
function wishOf(line: string): Wish | null {
  try {
    const wish = JSON.parse(line) as Wish
    if (wish.do === 'leave' || wish.do === 'end') return wish
    return wish.do === 'application' && ['starting', 'running', 'gone'].includes(wish.is) ? wish : null
  } catch {
    return null
  }
}
