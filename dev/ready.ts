import { request } from 'node:http'
import { connect } from 'node:net'

const PATIENCE_MS = 1_000

/** Whether something listens at this port of 127.0.0.1. */
export function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => settle(true))
    const settle = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('error', () => settle(false)).setTimeout(PATIENCE_MS, () => settle(false))
  })
}

/** Whether `/ready` answers 200 there. */
export function isReady(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const asked = request({ port, host: '127.0.0.1', path: '/ready', agent: false, timeout: PATIENCE_MS }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked
      .once('timeout', () => asked.destroy())
      .once('error', () => resolve(false))
      .end()
  })
}
