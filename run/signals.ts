import { isatty } from 'node:tty'

/** All that the application would get without us. SIGTERM is not among them: it begins the orderly end of both. */
const passed = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const
/** The terminal sends these to its whole foreground group, in which the application is. */
const fromTerminal: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGCONT']

export interface Signals {
  /** From here on there is an application to pass them to; those that came before are passed now. */
  passTo(signal: (name: NodeJS.Signals) => void): void
}

/** Takes the signals over from bin/outrigger.js. `stop`: SIGTERM, each time. */
export function takeSignals(stop: (why: string) => void): Signals {
  const isTerminal = isatty(0)
  const early: NodeJS.Signals[] = []
  let pass: ((name: NodeJS.Signals) => void) | null = null
  for (const signal of passed) {
    own(signal, () => {
      if (isTerminal && fromTerminal.includes(signal)) {
        // Before there is an application, Ctrl-C is for us.
        if (pass === null && signal === 'SIGINT') stop(signal)
      } else if (pass === null) early.push(signal)
      else pass(signal)
    })
  }
  own('SIGTERM', () => stop('SIGTERM'))
  return {
    passTo(signal) {
      pass = signal
      for (const name of new Set(early.splice(0))) signal(name)
    },
  }
}

/** In this order: without a listener in between, Node would drop a signal that is on its way. */
function own(signal: NodeJS.Signals, act: () => void): void {
  const before = process.listeners(signal)
  process.on(signal, act)
  for (const listener of before) process.off(signal, listener)
}
