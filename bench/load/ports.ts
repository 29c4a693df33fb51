import { createServer } from 'node:net'

// Below the range Linux takes outgoing connections' ports from: a load of thousands of connections cannot take a port
// we chose.
const FIRST = 15_000
const LAST = 32_000
const given = new Set<number>()

/** A loopback port nobody listens on, never given twice. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    if (given.has(port)) continue
    given.add(port)
    if (await canListen(port)) return port
  }
  throw new Error(`found no free port between ${FIRST} and ${LAST}`)
}

function canListen(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
