import { createServer, type Server } from 'node:net'

// Below the range Linux takes the ports of outgoing connections from: a port stays ours also while its process is down.
const FIRST = 20_000
const LAST = 31_900
const SIZE = 200
/** Tried first, so that the addresses one has copied stay the same from run to run. */
const USUAL = 23_000

/** Two hundred loopback ports for one run, of which the last is held: so two runs never share them. */
export interface PortBlock {
  readonly base: number
  release(): void
}

/** `offsets`: those that must be free now. */
export async function reservePorts(offsets: readonly number[], random: () => number = Math.random): Promise<PortBlock> {
  for (let tries = 0; tries < 60; tries++) {
    const base = tries === 0 ? USUAL : FIRST + SIZE * Math.floor((random() * (LAST - FIRST)) / SIZE)
    const held = await listen(base + SIZE - 1)
    if (held === null) continue
    if (await allFree(offsets.map(offset => base + offset))) {
      held.unref()
      return { base, release: () => held.close() }
    }
    held.close()
  }
  throw new Error(
    `no ${SIZE} free ports in a row were found between ${FIRST} and ${LAST} on 127.0.0.1: see what listens there with "ss -ltn"`,
  )
}

async function allFree(ports: readonly number[]): Promise<boolean> {
  const servers = await Promise.all(ports.map(listen))
  await Promise.all(servers.map(server => server && new Promise(done => server.close(done))))
  return servers.every(server => server !== null)
}

function listen(port: number): Promise<Server | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
