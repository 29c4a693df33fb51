import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { type Server, ServerCredentials } from '@grpc/grpc-js'

/**
 * Throws, with an error for people, where another agent answers on this socket, or another kind of file stands there:
 * to be asked before anything of the agent is started.
 */
export async function refuseSecondAgent(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error(`${path} is there and is no socket: name another one in listen:`)
  if (await answers(path)) throw new Error(`another agent listens on ${path}: end it, or name another one in listen:`)
}

/**
 * Opens the server on a Unix socket that only its owner may connect to. Rejects, with an error for people, where
 * another agent answers there; a socket that a dead one has left is taken over.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  await refuseSecondAgent(path)
  rmSync(path, { force: true })
  // Folders that parts of the agent make meanwhile keep their owner's right to enter.
  const before = process.umask(0o077)
  try {
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), error =>
        error === null ? resolve() : reject(new Error(`cannot listen on ${path}: ${error.message}`)),
      ),
    )
  } finally {
    process.umask(before)
  }
  chmodSync(path, 0o600)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES') return resolve(false)
      reject(new Error(`${path} belongs to another user: end that agent, or name another socket in listen:`))
    })
  })
}
