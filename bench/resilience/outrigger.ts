import { freePort } from '../../test/integration/support/ports.ts'
import { startProxy } from '../../test/integration/support/proxy.ts'
import type { Start } from './contestant.ts'
import { POLICY } from './scenarios.ts'

export const outrigger: Start = async addresses => {
  const port = await freePort()
  const proxy = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'web' }],
    discovery: { endpoints: { web: addresses } },
    services: { web: outriggerPolicy },
  })
  return {
    port,
    async isEjected(address) {
      return (await proxy.endpoints('web')).some(each => each.address === address && each.state === 'ejected')
    },
    offered: async () => (await proxy.metrics()).value('outrigger_upstream_requests_total'),
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  }
}

const outriggerPolicy = {
  timeouts: {
    connect: `${POLICY.connectMs}ms`,
    perTry: `${POLICY.perTryMs}ms`,
    request: `${POLICY.requestMs}ms`,
  },
  retries: {
    on: ['connect-failure', 'refused-stream', 'reset-before-response', 'per-try-timeout', 'gateway-error'],
    attempts: POLICY.attempts,
  },
  outliers: {
    consecutiveGatewayFailures: POLICY.consecutive,
    baseEjection: `${POLICY.baseEjectionMs}ms`,
    maxEjectedPercent: POLICY.maxEjectedPercent,
  },
}
