import { Turns } from '../../proxy/core/turn.ts'

/** Of all wires of a test that have no event loop of the system. Each turn is a round. */
export const testTurns = new Turns(null)

/** As proxy/system/ brackets each entry into the data plane. */
export function turn<T>(enter: () => T, turns: Turns = testTurns): T {
  turns.enter()
  try {
    return enter()
  } finally {
    turns.leave()
  }
}
