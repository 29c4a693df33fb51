/** The system's word for what this machine lacks: it says nothing of the endpoint. */
const OURS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EADDRINUSE'])

export function isLocalTrouble(code: string): boolean {
  return OURS.has(code)
}
