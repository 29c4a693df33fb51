import type { Server } from '@grpc/grpc-js'

/** One of the things an agent does. `main.ts` joins them; none imports another. */
export interface AgentPart {
  readonly name: string
  /** Adds its services to the agent's gRPC server, before that listens. */
  register(server: Server): void
  start(): Promise<void>
  /** Ends what runs; what must not be lost is on disk afterwards. */
  stop(): Promise<void>
}
