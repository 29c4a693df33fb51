import { createServer, type Server } from 'node:net'

/** As many free ports of this machine, each another. They are held until all are found. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)))
  const ports = servers.map(server => (server?.address() as { readonly port: number } | null)?.port ?? 0)
  await Promise.all(servers.map(close))
  if (ports.includes(0)) throw new Error('this machine has no free ports left: see what listens with "ss -ltn"')
  return ports
}

/** Whether nothing listens there yet. */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  await close(server)
  return server !== null
}

function listen(port: number): Promise<Server | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

function close(server: Server | null): Promise<void> {
  return new Promise(done => (server === null ? done() : server.close(() => done())))
}
