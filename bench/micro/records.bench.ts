import type { AccessLogSpec } from '../../mesh-config/snapshot.ts'
import { failures } from '../../proxy/core/failure.ts'
import { systemClock as clock } from '../../proxy/system/clock.ts'
import { accessLogFormatter } from '../../proxy/telemetry/access-log.ts'
import { exemplars } from '../../proxy/telemetry/exemplars.ts'
import { peerNames } from '../../proxy/telemetry/peer-names.ts'
import { requestStats } from '../../proxy/telemetry/request-stats.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'
import { finishedExchange } from '../../test/support/finished-exchange.ts'
import { accessLogSpec } from '../../test/support/specs.ts'
import type { Case } from './case.ts'

/** What a finished request costs telemetry: counting it, and its line in the access log. */

function counted(sources: readonly string[]): Case {
  return {
    setup() {
      const stats = statsWriter(() => {})
      const peers = peerNames()
      peers.self = 'web'
      const deps = { stats, peers, exemplars: exemplars({ clock, send() {} }) }
      const isInbound = sources.length > 0
      const own = requestStats(deps, { direction: isInbound ? 'inbound' : 'outbound', service: 'orders', path: '/*' })
      const exchanges = (isInbound ? sources : ['']).map(source => {
        const exchange = finishedExchange()
        exchange.request = { ...exchange.request, source }
        return exchange
      })
      let next = 0
      return () => {
        next = next + 1 === exchanges.length ? 0 : next + 1
        own.count(exchanges[next]!, 5)
        return next
      }
    },
  }
}

export const countOutbound = counted([])
export const countOneSource = counted(['shop'])
export const countThreeSources = counted(['shop', 'web', 'jobs'])

function line(spec: Partial<AccessLogSpec>, isFailed = false): Case {
  return {
    setup() {
      const format = accessLogFormatter(accessLogSpec({ mode: 'on', ...spec }), 'web')
      const exchange = finishedExchange({ headers: [['user-agent', 'curl/8']] })
      Object.assign(exchange.endpoint!, { spec: { address: '10.0.0.7', port: 8080 } })
      if (isFailed) Object.assign(exchange, { failure: failures.connectRefused, status: 503 })
      return () => format(exchange, clock)
    },
  }
}

const condition = { errors: false, slowerThanMs: 0, statuses: [], samplePercent: 100 } as const

export const logText = line({})
export const logJson = line({ format: 'json' })
export const logEcs = line({ format: 'ecs' })
export const logFields = line({
  format: 'json',
  fields: {
    time: '%START_TIME%',
    status: '%RESPONSE_CODE%',
    line: '%REQ(:METHOD)% %REQ(:PATH)%',
    flags: '%RESPONSE_FLAGS%',
  },
})
export const logErrorsOfNone = line({ mode: 'errors' })
export const logOnlySlowOfNone = line({ only: [{ ...condition, slowerThanMs: 1_000 }] })
export const logSampleOfNone = line({ only: [{ ...condition, samplePercent: 0.000_001 }] })
