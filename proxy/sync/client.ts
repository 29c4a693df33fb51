import type { AgentLink } from '../core/agent-link.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import type { Log } from '../core/log.ts'
import type { DialListener, Wire } from '../core/wire.ts'
import { backOff } from './back-off.ts'
import { type AgentConnection, agentConnection } from './connection.ts'
import { type Follow, type Following, followAgent } from './follow.ts'
import { refused as refusedEnd, unreachable } from './trouble.ts'

/** Where the agent is looked for. */
export interface AgentPlace {
  readonly path: string
  /** Nobody named it: it may well be that there is none, and that is no trouble. */
  readonly isDefault: boolean
}

export interface AgentStatus {
  readonly state: AgentLink['state']
  /** Why there is no connection; empty: there is one, or nothing is wrong with having none. */
  readonly trouble: string
  /** `host1, version 1.2.3`: what the agent says it is; empty: none has said anything yet. */
  readonly agent: string
  /** In this state, by `clock.now`. */
  readonly since: number
  /** How often a connection that stood was lost. */
  readonly losses: number
}

export interface AgentClient extends AgentLink {
  /** Looks for the agent there from now on; null: nowhere. What stood before is closed. */
  follow(place: AgentPlace | null): void
  /** The subscription is another one. */
  resubscribe(): void
  /** To an Update: `reasons` empty: it is in force. Forgotten where the agent that sent it is gone. */
  answer(service: string, version: string, reasons: readonly string[]): void
  /** No updates are read until `resume`. */
  pause(): void
  resume(): void
  status(): AgentStatus
}

/** `connected` or `failed` is called once, later, unless the returned function cancelled it before. */
export type DialPath = (path: string, listener: DialListener) => () => void

export interface AgentClientDeps extends Omit<Following, 'ended' | 'welcomed' | 'clock'> {
  readonly dial: DialPath
  /** Loads HTTP/2: asked for when there is an agent to talk to. */
  readonly codec: () => Promise<Pick<Codec, 'connect'>>
  /** Whose a default socket is, where it is not to be trusted; empty: it may be used. */
  readonly distrust: (path: string) => string
  readonly userAgent: string
  /** The state or the trouble is another one. */
  readonly changed: () => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** An agent that is started is found within so long. */
const MOST_WAIT_MS = 2_000
/** Somebody has to do something about it first. */
const REFUSED_WAIT_MS = 30_000
/** From the connection to the first word of the agent: one that a thousand proxies come back to takes its time. */
const WELCOME_MS = 15_000
/** A connection that stood so long was a good one: the next wait is a short one. */
const SETTLED_MS = 5_000

/** The proxy's end of the way to its agent: looks for it, follows it, and tries again when it is lost. */
export function agentClient(deps: AgentClientDeps): AgentClient {
  const { clock, log } = deps
  const wait = backOff(deps.random, MOST_WAIT_MS)
  const retry = clock.timer(() => open())
  let place: AgentPlace | null = null
  let status: AgentStatus = { state: 'off', trouble: '', agent: '', since: clock.now(), losses: 0 }
  /** Raised when what runs is given up: what it says afterwards does not count. */
  let turn = 0
  let giveUp = () => {}
  let connection: AgentConnection | null = null
  let follow: Follow | null = null
  let isPaused = false
  /** The connection was lost, and that is said. */
  let isLost = false

  function set(state: AgentStatus['state'], trouble: string, agent = status.agent): void {
    if (state === status.state && trouble === status.trouble && agent === status.agent) return
    status = { ...status, state, trouble, agent, since: state === status.state ? status.since : clock.now() }
    deps.changed()
  }

  function drop(): void {
    turn++
    giveUp()
    giveUp = () => {}
    connection?.close()
    connection = null
    follow = null
    retry.cancel()
  }

  function open(): void {
    drop()
    if (place === null) return
    const { path, isDefault } = place
    const mine = turn
    const distrusted = isDefault ? deps.distrust(path) : ''
    if (distrusted !== '') {
      const why = `${distrusted}, so the agent there is not used: remove it, or name the socket in agent:`
      return again('connecting', why, REFUSED_WAIT_MS)
    }
    giveUp = deps.dial(path, {
      connected: wire => {
        giveUp = () => wire.destroy()
        // The agent may speak first, and nothing listens yet.
        wire.pause()
        void deps.codec().then(codec => {
          if (mine === turn) speak(wire, codec)
        })
      },
      failed: code => {
        // Nothing there, where nobody said that something is: no trouble.
        if (isDefault && code === 'ENOENT') again('off', '')
        // That it does not listen any longer either, is no news.
        else again('connecting', unreachable(path, code), 0, isLost && (code === 'ECONNREFUSED' || code === 'ENOENT'))
      },
    })
  }

  function speak(wire: Wire, codec: Pick<Codec, 'connect'>): void {
    const mine = turn
    const lost = (why: string, waitMs?: number) => {
      if (mine !== turn) return
      if (status.state === 'connected') status = { ...status, losses: status.losses + 1 }
      isLost = status.state === 'connected' || isLost
      again('connecting', why, waitMs)
    }
    const unheard = clock.timer(() => lost(`what listens on ${place!.path} said nothing within ${WELCOME_MS / 1000} s`))
    unheard.arm(WELCOME_MS)
    const { userAgent } = deps
    connection = agentConnection(wire, { codec, clock, userAgent, closed: () => lost('the connection has ended') })
    giveUp = () => unheard.cancel()
    wire.resume()
    follow = followAgent(connection, {
      ...deps,
      welcomed({ agent, version }) {
        if (mine !== turn) return
        unheard.cancel()
        isLost = false
        const name = `${agent}, version ${version}`
        if (status.trouble !== '' || status.agent !== name) log.info(`the agent ${name} is there: unix:${place!.path}`)
        set('connected', '', name)
      },
      ended(end) {
        if (end.kind === 'refused') lost(refusedEnd(place!.path, end.reason), REFUSED_WAIT_MS)
        else lost(end.reason)
      },
    })
    if (isPaused) follow.pause()
  }

  /** `waitMs`: a longer wait than usual, with the same jitter. `isKnown`: the log need not say it. */
  function again(state: 'off' | 'connecting', trouble: string, waitMs = 0, isKnown = false): void {
    const stoodMs = status.state === 'connected' ? clock.now() - status.since : 0
    drop()
    if (stoodMs >= SETTLED_MS) wait.reset()
    const shown = printed(trouble)
    if (shown !== '' && shown !== printed(status.trouble) && !isKnown)
      log.warn(`agent: ${trouble}; what is in force stays`)
    set(state, trouble)
    const next = wait.next()
    retry.arm(waitMs === 0 ? next : waitMs * (0.75 + deps.random() / 4))
  }

  return {
    get state() {
      return status.state
    },
    call(path, message, done) {
      if (connection === null || status.state !== 'connected') return false
      return connection.call(path, message, end => done(end.status))
    },
    follow(next) {
      drop()
      place = next
      wait.reset()
      set('off', '')
      if (next !== null) open()
    },
    resubscribe: () => follow?.resubscribe(),
    answer: (service, version, reasons) => follow?.answer(service, version, reasons),
    pause() {
      isPaused = true
      follow?.pause()
    },
    resume() {
      isPaused = false
      follow?.resume()
    },
    status: () => status,
  }
}

/** What makes two troubles the same one to a reader. */
function printed(trouble: string): string {
  return trouble.replace(/\d+ (ms|s)\b/g, '')
}
