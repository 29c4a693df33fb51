import type { Duplex } from 'node:stream'

/** What a proxy says to its supervisor: docs/decisions/0052. */
export type ProxySays =
  | { readonly say: 'ready'; readonly pid: number }
  | { readonly say: 'leaving'; readonly limitMs: number }
  | { readonly say: 'inbound-drained' }
  | { readonly say: 'successor'; readonly pid: number }
  | { readonly say: 'stop'; readonly why: string }

export type SupervisorSays =
  | { readonly do: 'leave' }
  | { readonly do: 'end' }
  | { readonly do: 'application'; readonly is: 'starting' | 'running' | 'gone' }

export interface ProxyLink {
  tell(line: SupervisorSays): void
  close(): void
}

const LONGEST_LINE = 64 * 1024

/** `lost`: no proxy holds the other end any more. */
export function proxyLink(socket: Duplex, heard: (line: ProxySays) => void, lost: () => void): ProxyLink {
  let rest = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE) rest = ''
    for (const line of lines) {
      const message = parsed(line)
      if (message !== null) heard(message)
    }
  })
  // Writing to a proxy that has just ended.
  socket.on('error', () => {})
  socket.once('close', lost)
  return {
    tell: line => void (socket.destroyed || socket.write(`${JSON.stringify(line)}\n`)),
    close: () => void socket.destroy(),
  }
}

/** Null: a proxy of another version says what this one does not know. */
function parsed(line: string): ProxySays | null {
  try {
    const message = JSON.parse(line) as ProxySays
    return typeof message?.say === 'string' ? message : null
  } catch {
    return null
  }
}
