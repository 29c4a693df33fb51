// `node --import outrigger/propagate app.js`: what a request brings of its trace, its id and its deadline goes out with
// the calls that the application makes for it. Nothing of the application changes. For every Node from 20 on: the
// application has its own.
import { followInbound } from './inbound.ts'
import { followGrpc } from './outbound-grpc.ts'
import { followHttp } from './outbound-http.ts'
import { followHttp2 } from './outbound-http2.ts'
import { followUndici } from './outbound-undici.ts'

/** Once for each thread, however often it is named (NODE_OPTIONS, the command line, an import). */
const DONE = Symbol.for('outrigger.propagate')

if (!Object.hasOwn(globalThis, DONE) && process.env.OUTRIGGER_PROPAGATE !== 'off') {
  Object.defineProperty(globalThis, DONE, { value: true })
  for (const follow of [followInbound, followHttp, followUndici, followHttp2, followGrpc]) {
    try {
      follow()
    } catch (error) {
      // A Node of another shape. The application runs on without.
      process.emitWarning(`outrigger/propagate: ${follow.name} failed: ${(error as Error).message}`)
    }
  }
}
