import { createServer, type Server } from 'node:net'

// Below the ports that the bench, the demo and outgoing connections use.
const FIRST = 10_000
const BLOCKS = 49
const SIZE = 100

let base = 0
let next = SIZE

/**
 * A loopback port that nobody listens on. Test files that run at the same time never get the same one: each takes them
 * from a block whose first port it holds.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    if (next === SIZE) await takeBlock()
    const port = base + next++
    const server = await listen(port)
    if (server === null) continue
    await new Promise(done => server.close(done))
    return port
  }
}

export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  if (server !== null) await new Promise(done => server.close(done))
  return server !== null
}

async function takeBlock(): Promise<void> {
  const start = Math.floor(Math.random() * BLOCKS)
  for (let i = 0; i < BLOCKS; i++) {
    const candidate = FIRST + ((start + i) % BLOCKS) * SIZE
    const held = await listen(candidate)
    if (held === null) continue
    held.unref()
    base = candidate
    next = 1
    return
  }
  throw new Error(
    `every hundredth port from ${FIRST} to ${FIRST + BLOCKS * SIZE} is taken: see what listens there with "ss -ltn"`,
  )
}

function listen(port: number): Promise<Server | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
