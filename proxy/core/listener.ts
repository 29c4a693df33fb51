import type { ListenerSpec } from '../../mesh-config/snapshot.ts'
import type { Failure } from './failure.ts'
import type { FilterChain } from './filter.ts'
import type { ByAddress, Router, TcpRouter } from './route.ts'
import type { SecureWire } from './wire.ts'

/** A listener as the present snapshot has it; an exchange keeps the one it began with. */
export interface ListenerRuntime {
  readonly spec: ListenerSpec
  /** Puts TLS over its connections; null: callers speak none. */
  readonly secure: SecureWire | null
  /** Before routing: request id, forwarded headers. */
  readonly filters: FilterChain
  readonly router: Router
  /** Where a connection goes that is not served as HTTP. */
  readonly tcpRouter: TcpRouter
  /** Of a listener that connections are redirected to, where no name says where they go; null: none are. */
  readonly byAddress: ByAddress | null
}

/** What is known of a connection that is to be a tunnel. */
export interface Opening {
  readonly kind: 'tls' | 'tcp'
  /** Of a TLS connection (SNI), in small letters; empty: it named none. */
  readonly serverName: string
  /** What has been read already, a copy; null: nothing. */
  readonly bytes: Buffer | null
  /** It may go nowhere: why. */
  readonly refused: Failure | null
  /** More on that, or on what was found, for the log. */
  readonly detail: string
}
