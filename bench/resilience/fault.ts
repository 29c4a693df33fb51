/**
 * What an instance may do wrong. The words are those of scenarios.ts, of the simulation (test/simulation/faults/) and
 * of the real instance (instance.ts): each of them has one meaning.
 */
export const FAULTS = [
  /** Answers 503 at once. */
  'status-503',
  /** Takes the request and never answers. */
  'hang',
  /** Resets the connection when it has the request. */
  'reset',
  /** Accepts connections and closes them at once; those that it had close too. */
  'accept-close',
  /** Takes twenty times as long. */
  'slow',
  /** Its process is gone: what was under way is cut, and connections are refused. */
  'killed',
  /** Its process stands still (SIGSTOP): the system takes connections and bytes, nothing answers. */
  'stopped',
  /** Packets from and to it are lost. */
  'dropped',
  /** Closes each connection 0 to 50 ms after an answer, if nothing has come meanwhile. */
  'idle-close',
] as const

export type Fault = (typeof FAULTS)[number]

export const SLOW_FACTOR = 20
export const IDLE_CLOSE_MS = 50
