import type { Life } from './life.ts'

const codes = { SIGINT: 130, SIGTERM: 143 } as const

export interface SignalsOptions {
  readonly exit: (code: number) => void
  readonly now: () => number
  /** Ctrl-C reaches a launcher too, which passes it on: that is one. */
  readonly launched: boolean
}

export interface SignalActions {
  /** SIGHUP. */
  reread(): void
  /** SIGUSR1. */
  reopen(): void
  /** SIGUSR2. */
  upgrade(): void
}

export interface Signals {
  /**
   * From here on there is something to drain: SIGTERM and SIGINT do that, and a second one ends the process at once.
   */
  obey(life: Life): void
  /** From here on SIGHUP, SIGUSR1 and SIGUSR2 act; one that came before does so now. */
  ready(actions: SignalActions): void
}

/**
 * Takes the signals over from bin/outrigger.js, as the first thing the proxy does. A second SIGTERM or SIGINT exits
 * with 128 + the signal's number, as the shell would say it; one that comes before anything is open exits with 0, as a
 * drain of nothing does.
 */
export function takeSignals({ exit, now, launched }: SignalsOptions): Signals {
  let life: Life | null = null
  let actions: SignalActions | null = null
  let firstAt = Number.NEGATIVE_INFINITY
  const early = new Set<keyof SignalActions>()
  const act = (what: keyof SignalActions) => {
    if (actions === null) early.add(what)
    else actions[what]()
  }
  own('SIGHUP', () => act('reread'))
  own('SIGUSR1', () => act('reopen'))
  own('SIGUSR2', () => act('upgrade'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    own(signal, () => {
      if (life === null) exit(0)
      else if (life.drain(signal)) firstAt = now()
      else if (signal !== 'SIGINT' || !launched || now() - firstAt > 100) exit(codes[signal])
    })
  }
  return {
    obey(given) {
      life = given
    },
    ready(given) {
      actions = given
      for (const what of early) given[what]()
    },
  }
}

/** In this order: without a listener in between, Node would drop a signal that is on its way. */
function own(signal: NodeJS.Signals, act: () => void): void {
  const before = process.listeners(signal)
  process.on(signal, act)
  for (const listener of before) process.off(signal, listener)
}
