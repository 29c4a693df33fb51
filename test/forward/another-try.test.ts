import { describe, expect, test } from 'vitest'
import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import { anotherTry } from '../../proxy/core/another-try.ts'
import { AttemptRecord } from '../../proxy/core/decision.ts'
import { type Failure, failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { heedPushback } from '../../proxy/forward/grpc-retry.ts'
import { mayFollow, mayFollowAnswer } from '../../proxy/forward/retry.ts'
import { anotherTryText } from '../../proxy/telemetry/another-try-words.ts'
import { A, B, orders } from '../support/orders.ts'
import { ok, respond } from '../support/upstream.ts'

const rows: readonly Failure[] = Object.values(failures)
const all = new Set<RetryCondition>(['connect-failure', 'refused-stream', 'reset-before-response', 'per-try-timeout'])
const get = { isIdempotent: true, isBodyGone: false }
const post = { isIdempotent: false, isBodyGone: false }
const gone = { isIdempotent: true, isBodyGone: true }

describe.each(rows)('after $failure', failure => {
  const { condition, replay } = failure
  const after = (on: ReadonlySet<RetryCondition>, request: typeof get) => {
    const record = new AttemptRecord()
    const again = mayFollow(record, failure, on, request)
    expect([again, record.condition]).toEqual([record.another.again, condition])
    return record.another
  }

  test('a GET is tried again where the policy has a word for it', () => {
    expect(after(all, get)).toBe(condition === null ? anotherTry.unasked : anotherTry.onCondition)
    expect(after(new Set(), get)).toBe(condition === null ? anotherTry.unasked : anotherTry.notInPolicy)
  })

  test('a POST only where the endpoint has had nothing of it', () => {
    const safe = replay === 'unsent' ? anotherTry.onCondition : anotherTry.mayHaveActed
    expect(after(all, post)).toBe(condition === null ? anotherTry.unasked : safe)
  })

  test('nothing whose body is gone', () => {
    expect(after(all, gone)).toBe(condition === null ? anotherTry.unasked : anotherTry.bodyGone)
  })
})

describe('after an answer with a status that the policy names', () => {
  const after = (status: number, request = get) => {
    const record = new AttemptRecord()
    record.status = status
    const again = mayFollowAnswer(record, null, new Set<RetryCondition>(['5xx']), request, new Set([409, 503, 508]))
    return [again, record.condition]
  }

  test('a GET is tried again, a POST is not, and a circle never', () => {
    expect(after(409)).toEqual([true, 'retriable-status-codes'])
    expect(after(503)).toEqual([true, 'retriable-status-codes'])
    expect(after(500)).toEqual([true, '5xx'])
    expect(after(404)).toEqual([false, null])
    expect(after(508)).toEqual([false, null])
    expect(after(409, post)).toEqual([false, 'retriable-status-codes'])
  })
})

describe('after an answer', () => {
  const { applicationUnreachable: unreachable, resetBeforeResponse: gone503 } = failures

  function after(status: number, on: RetryCondition[], request = get, grpcStatus = -1, told: Failure | null = null) {
    const record = new AttemptRecord()
    record.status = status
    record.grpcStatus = grpcStatus
    const again = mayFollowAnswer(record, told, new Set(on), request)
    return `${again} ${record.condition} ${anotherTryText(record, 1)}`
  }

  test.each([
    [after(503, ['5xx']), 'true 5xx yes: 5xx'],
    [after(503, ['5xx', 'gateway-error']), 'true gateway-error yes: gateway-error'],
    [after(500, ['gateway-error']), 'false null '],
    [after(508, ['5xx']), 'false null '],
    [after(503, ['5xx'], post), 'false 5xx no: 503 to a request that cannot be sent again'],
    [after(503, ['5xx'], gone), 'false 5xx no: 503 to a request that cannot be sent again'],
    [after(200, ['unavailable'], post, 14), 'true unavailable yes: unavailable'],
    [after(200, ['unavailable'], gone, 14), 'false unavailable no: unavailable to a request that cannot be sent again'],
    [after(503, ['connect-failure'], post, -1, unreachable), 'true connect-failure yes: connect-failure'],
    [after(503, ['5xx'], post, -1, unreachable), 'false 5xx no: 503 to a request that cannot be sent again'],
    [after(503, ['reset-before-response'], get, -1, gone503), 'true reset-before-response yes: reset-before-response'],
    [after(503, ['connect-failure'], get, -1, gone503), 'false null '],
    [after(503, ['5xx', 'reset-before-response'], get, -1, gone503), 'true 5xx yes: 5xx'],
    [
      after(503, ['reset-before-response'], post, -1, gone503),
      'false reset-before-response no: 503 to a request that cannot be sent again',
    ],
    [after(200, ['reset-before-response', 'unavailable'], post, 14, gone503), 'true unavailable yes: unavailable'],
  ])('%s', (got, expected) => expect(got).toBe(expected))

  test('a wait that the endpoint asks for is kept with the reason', () => {
    const heed = (value: string | null, leftMs: number) => {
      const record = new AttemptRecord()
      record.another = anotherTry.onCondition
      const headers = new HeaderList(value === null ? [] : ['grpc-retry-pushback-ms', value])
      const again = heedPushback(record, headers, leftMs)
      expect(again).toBe(record.another.again)
      return [record.another.because, record.delayMs]
    }
    expect(heed(null, 100)).toEqual(['condition', 0])
    expect(heed('40', 100)).toEqual(['condition', 40])
    expect(heed('140', 100)).toEqual(['pushback-too-long', 140])
    expect(heed('-1', 100)).toEqual(['pushback', 0])
  })
})

test('every reason has words, and no two the same', () => {
  const record = new AttemptRecord()
  const texts = Object.values(anotherTry).map(another => anotherTryText(Object.assign(record, { another }), 3))
  expect(new Set(texts).size).toBe(texts.length)
  expect(texts.filter(text => !/^(yes|no): \w/.test(text))).toEqual([''])
})

describe('when an attempt had its head, and when it was over', () => {
  test('are told apart', async () => {
    const { mesh, upstream } = await orders()
    upstream.answer = (_request, connection) => {
      mesh.loop.after(30, () => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'))
      mesh.loop.after(100, () => connection.send('ok'))
    }
    mesh.caller().get()
    mesh.advance(200)
    expect(mesh.flight.attempts).toMatchObject([{ headAfterMs: 30, tookMs: 100, status: 200 }])
  })

  test('an answer that was dropped had one too, and a failure has none', async () => {
    const { mesh } = await orders({ endpoints: [A, B], retries: { on: ['5xx', 'connect-failure'], attempts: 3 } })
    mesh.upstream(A).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    mesh.upstream(B).answer = respond('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n')
    mesh.caller().get()
    mesh.advance(500)
    const [first] = mesh.flight.attempts
    expect(first).toMatchObject({ status: 503, headAfterMs: first!.tookMs, retry: 'yes: 5xx' })
    mesh.upstream(A).answer = ok
    mesh.upstream(B).connect = 'refuse'
    mesh.upstream(A).connect = 'refuse'
    for (const { open } of [mesh.upstream(A), mesh.upstream(B)]) for (const end of open) end.close()
    mesh.settle()
    mesh.caller().get()
    mesh.advance(500)
    expect(mesh.flight.attempts.map(({ headAfterMs }) => headAfterMs)).toEqual([null, null, null])
  })
})
