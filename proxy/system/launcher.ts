import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'

/** As bin/outrigger.js has it. */
const LAUNCHER_FD = 3

/**
 * When an older Node started this process (bin/outrigger.js), calls `gone` after that one has ended, also when it was
 * killed: this process would otherwise stay behind with its ports. False: there is no such launcher.
 */
export function watchLauncher(gone: () => void): boolean {
  const { OUTRIGGER_LAUNCHED } = process.env
  delete process.env.OUTRIGGER_LAUNCHED
  if (OUTRIGGER_LAUNCHED !== 'child' || !isSocket(LAUNCHER_FD)) return false
  const socket = new Socket({ fd: LAUNCHER_FD, readable: true, writable: false })
  socket.on('error', () => {})
  socket.once('close', gone)
  socket.resume()
  socket.unref()
  return true
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}
