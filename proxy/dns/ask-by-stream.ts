import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { DatagramListener } from '../core/datagrams.ts'
import type { Dial, Wire } from '../core/wire.ts'
import { framed, MessageStream } from './message-stream.ts'

/** Asks over a TCP connection of its own, which closes behind the answer. */
export function askByStream(dial: Dial, server: AddressSpec, bytes: Buffer, listener: DatagramListener): () => void {
  const messages = new MessageStream(0xffff)
  let wire: Wire | null = null
  let isOver = false

  function close(): void {
    isOver = true
    wire?.destroy()
  }

  function failed(code: string): void {
    if (isOver) return
    close()
    listener.failed(code)
  }

  const cancelDial = dial(server.address, server.port, {
    connected(made) {
      wire = made
      if (isOver) return made.destroy()
      made.handler = {
        bytes(chunk, length) {
          if (isOver) return
          messages.push(chunk, length)
          const message = messages.next()
          if (message !== null) listener.received(message)
        },
        drained() {},
        ended: () => failed('ECONNRESET'),
        closed: () => failed('ECONNRESET'),
      }
      made.write(framed(bytes))
    },
    failed,
  })
  return () => {
    if (wire === null) cancelDial()
    close()
  }
}
