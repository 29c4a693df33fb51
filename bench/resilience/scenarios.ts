import { FAULTS, type Fault } from './fault.ts'

/**
 * The faults over time that a proxy has to bear, as data: both proxies are configured from it, and the same load and the
 * same instances are used. The first instance has the fault; of `idle-close` all have it.
 */
export interface Scenario {
  readonly fault: Fault
  readonly instances: number
  /** Requests a second. */
  readonly rate: number
  readonly fromMs: number
  readonly toMs: number
  readonly runMs: number
}

/** How long an instance takes when all is well. */
export const WORK_MS = 5

/** What both proxies are told. */
export const POLICY = {
  connectMs: 250,
  perTryMs: 500,
  requestMs: 5000,
  attempts: 3,
  consecutive: 5,
  baseEjectionMs: 1000,
  maxEjectedPercent: 50,
  budgetPercent: 20,
} as const

export const SCENARIOS: readonly Scenario[] = [2, 3].flatMap(instances =>
  FAULTS.map(fault => ({ fault, instances, rate: 150, fromMs: 1500, toMs: 5500, runMs: 7000 })),
)

/** Every connection may be closed just as it is used. */
export function idleClose(rate: number, runMs: number): Scenario {
  return { fault: 'idle-close', instances: 2, rate, fromMs: 0, toMs: runMs, runMs }
}
