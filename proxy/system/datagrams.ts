import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { AskByDatagram, OpenDatagrams } from '../core/datagrams.ts'

/** Room for bursts: what does not fit is lost, and each client would wait seconds before it asks again. */
const RECEIVE_BUFFER = 1024 * 1024

export const openDatagrams: OpenDatagrams = (address, received, onError) => {
  const socket = socketFor(address.address)
  // A closed socket throws where it is used.
  let isOpen = true
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ address: address.address, port: address.port, exclusive: true }, () => {
      socket.off('error', reject)
      socket.on('error', onError)
      widen(socket)
      resolve({
        port: socket.address().port,
        send(bytes, to) {
          if (isOpen) socket.send(bytes, to.port, to.address, ignore)
        },
        close() {
          if (isOpen) socket.close()
          isOpen = false
        },
      })
    })
    socket.on('message', (bytes, { address, port }) => received(bytes, { address, port }))
  })
}

export const askByDatagram: AskByDatagram = (peer, bytes, listener) => {
  const socket = socketFor(peer.address)
  let isOpen = true
  const close = () => {
    if (isOpen) socket.close()
    isOpen = false
  }
  const failed = (error: NodeJS.ErrnoException) => {
    if (!isOpen) return
    close()
    listener.failed(error.code ?? error.message)
  }
  socket.on('error', failed)
  socket.on('message', answer => {
    if (isOpen) listener.received(answer)
  })
  // Connected: the kernel passes on what this peer sends and nothing else, and says when nothing listens there.
  socket.connect(peer.port, peer.address, () => {
    if (isOpen) socket.send(bytes, error => error != null && failed(error))
  })
  return close
}

/** Addresses only: nothing is looked up. */
function socketFor(address: string): Socket {
  return createSocket({
    type: isIPv6(address.replace(/%.*$/, '')) ? 'udp6' : 'udp4',
    lookup: (name, _options, callback) => callback(null, name, isIPv6(name.replace(/%.*$/, '')) ? 6 : 4),
  })
}

function widen(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER)
  } catch {
    // The system allows less.
  }
}

function ignore(): void {}
