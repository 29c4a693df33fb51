/** The agent, as the parts of the control thread that tell it something see it. */
export interface AgentLink {
  readonly state: 'connected' | 'connecting' | 'off'
  /**
   * One unary gRPC call. `message`: encoded, without the gRPC prefix. False: there is no agent, or too much waits
   * already, and nothing is kept. `done`: the gRPC status, 14 where the connection ended.
   */
  call(path: string, message: Uint8Array, done: (grpcStatus: number) => void): boolean
}
