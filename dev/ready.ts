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
export async function isReady(port: number): Promise<boolean> {
  return (await get(port, '/ready'))?.status === 200
}

interface Follower {
  readonly connected?: boolean
  readonly policies?: readonly { readonly wanted?: string; readonly has?: string }[]
}

/** Whether so many sidecars are connected to the agent with this admin port, each with all it wants. */
export async function policiesAreInForce(port: number, sidecars: number): Promise<boolean> {
  const answer = await get(port, '/status')
  if (answer === null) return false
  try {
    const { followers = [] } = JSON.parse(answer.body) as { readonly followers?: readonly Follower[] }
    const settled = followers.filter(
      ({ connected, policies = [] }) => connected && policies.every(({ wanted, has }) => wanted === has),
    )
    return settled.length >= sidecars
  } catch {
    return false
  }
}

/** Null: there is no answer. */
function get(port: number, path: string): Promise<{ readonly status: number; readonly body: string } | null> {
  return new Promise(resolve => {
    const asked = request({ port, host: '127.0.0.1', path, agent: false, timeout: PATIENCE_MS }, response => {
      let body = ''
      response
        .setEncoding('utf8')
        .on('data', (piece: string) => {
          body += piece
        })
        .on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        .on('error', () => resolve(null))
    })
    asked
      .once('timeout', () => asked.destroy())
      .once('error', () => resolve(null))
      .end()
  })
}
