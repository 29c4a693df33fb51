/** What is wrong with the way to the agent, and what to do about it, for people. */

const socketTroubles: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: start the agent (outrigger agent), or write agent: off',
  ECONNREFUSED: 'no process listens on it: the agent has ended; start it again',
  EACCES: 'this user may not connect to it: run the agent as the user of the proxy, or write agent: off',
  EPERM: 'this user may not connect to it: run the agent as the user of the proxy, or write agent: off',
  ENOTSOCK: 'it is no socket: name the one of the agent in agent:',
  ENOTDIR: 'its folder is none: name the socket of the agent in agent:',
  EAGAIN: 'too many processes connect to it at once',
}

export function unreachable(path: string, code: string): string {
  return `unix:${path} cannot be reached: ${Object.hasOwn(socketTroubles, code) ? socketTroubles[code] : code}`
}

export function refused(path: string, reason: string): string {
  return `the agent at unix:${path} refuses this proxy: ${reason}`
}
