import { expect, test } from 'vitest'
import { supervised } from '../../proxy/control/supervised.ts'

const settled = () => new Promise(resolve => setImmediate(resolve))

function started() {
  const env: NodeJS.ProcessEnv = { OUTRIGGER_SUPERVISOR_FD: '7' }
  const said: string[] = []
  const did: string[] = []
  let heard = (_line: string) => {}
  let closed = () => {}
  const own = supervised(env, (fd, hear, close) => {
    expect(fd).toBe(7)
    ;[heard, closed] = [hear, close]
    return { write: line => said.push(line), pause: () => fd, resume: () => did.push('resume') }
  })
  const actions = {
    leave: () => Promise.resolve(void did.push('leave')),
    end: () => did.push('end'),
    applicationIs: (is: string) => did.push(is),
    lost: () => did.push('lost'),
  }
  return { env, own, said, did, actions, hear: (line: string) => heard(line), close: () => closed() }
}

test('what the supervisor says before the proxy listens is done then, in order', async () => {
  const { env, own, said, did, actions, hear } = started()
  expect(env).toEqual({})
  hear('{"do":"leave"}')
  hear('{"do":"application","is":"running"}')
  expect(own.applicationIs()).toBe('running')
  expect(did).toEqual([])
  own.obey(actions)
  expect(did).toEqual(['leave', 'running'])
  await settled()
  expect(said).toEqual(['{"say":"inbound-drained"}'])
  hear('{"do":"end"}')
  expect(did.at(-1)).toBe('end')
})

test('a line that it does not know changes nothing', () => {
  const { own, did, actions, hear } = started()
  own.obey(actions)
  for (const line of ['', 'x', '{', 'null', '{"do":"dance"}', '{"do":"application","is":"odd"}', '[]']) hear(line)
  expect(did).toEqual([])
  expect(own.applicationIs()).toBe('starting')
})

test('it says when it is ready, passes on that it is to end, and gives the socket to a successor', () => {
  const { own, said, did } = started()
  own.ready()
  expect(own.askToStop('SIGTERM')).toBe(true)
  expect(own.handOver()).toBe(7)
  own.succeededBy(42)
  own.takeBack()
  expect(said).toEqual([
    `{"say":"ready","pid":${process.pid}}`,
    '{"say":"stop","why":"SIGTERM"}',
    '{"say":"successor","pid":42}',
  ])
  expect(did).toEqual(['resume'])
})

test('a supervisor that has ended is noticed, also before the proxy listens; then it decides itself', () => {
  const { own, said, did, actions, close } = started()
  close()
  own.obey(actions)
  expect(did).toEqual(['lost'])
  expect(own.askToStop('SIGTERM')).toBe(false)
  own.ready()
  expect(said).toEqual([])
})

test('without the variable there is none', () => {
  const own = supervised({})
  expect([own.isThere, own.applicationIs(), own.askToStop('SIGTERM'), own.handOver()]).toEqual([
    false,
    'unknown',
    false,
    null,
  ])
})
