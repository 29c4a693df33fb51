import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Between a proxy and an API server: it can be cut while the API server goes on. */
export interface Relay {
  readonly port: number
  cut(): void
  open(): void
  connections(): number
  close(): void
}

export async function startRelay(to: number, address = '127.0.0.1'): Promise<Relay> {
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer(socket => {
    if (isCut) return void socket.destroy()
    const other = connect(to, '127.0.0.1')
    for (const [one, another] of [
      [socket, other],
      [other, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => another.destroy())
      one.on('close', () => {
        sockets.delete(one)
        another.destroy()
      })
      one.pipe(another)
    }
  })
  await new Promise<void>(resolve => server.listen(0, address, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    open() {
      isCut = false
    },
    connections: () => sockets.size / 2,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
