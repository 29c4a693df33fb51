import { duration } from './text.ts'
import type { SyncedService, SyncView } from './views.ts'

/** One line about the connection. */
export function connectionText({ state, socket, isDefault, agent, trouble, forMs, losses }: SyncView): string {
  if (socket === '') return 'no agent is used (agent: off)'
  const lost = losses === 0 ? '' : `, lost ${losses === 1 ? 'once' : `${losses} times`} before`
  if (state === 'connected') return `connected to the agent ${agent} at ${socket} for ${duration(forMs)}${lost}`
  const last = agent === '' ? '' : `; the last one was ${agent}`
  if (state === 'off' && isDefault) return `no agent is there (${socket})${last}`
  return `not connected to ${socket} for ${duration(forMs)}${last}${trouble === '' ? '' : `: ${trouble}`}`
}

/** What of a service is worth a look, a line each. */
export function serviceNotes({ refused, reasons, warnings, ownChanged }: SyncedService): readonly string[] {
  return [
    ...(refused === '' ? [] : [`version ${refused} is refused:`, ...reasons.map(reason => `  ${reason}`)]),
    ...warnings.map(warning => `warning: ${warning}`),
    ...(ownChanged ? ['its section in the files has changed; the agent merges it when it is back'] : []),
  ]
}

export function stateOf({ refused, staleMs, from }: SyncedService): string {
  if (refused !== '') return `refused for ${duration(staleMs)}`
  if (from === 'files') return 'no policy of the agent'
  return staleMs === 0 ? 'in step' : `without agent for ${duration(staleMs)}`
}
