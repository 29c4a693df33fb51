import { describe, expect, test } from 'vitest'
import { sentSnapshot } from '../../proxy/control/sent-snapshot.ts'
import { endpointSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

const of = (version: string, ...services: Parameters<typeof snapshotOf>[0]) => ({ ...snapshotOf(services), version })
const orders = (attempts = 1) => serviceSpec('orders', ['10.0.0.1:80'], { retries: { attempts } })
const users = () => serviceSpec('users', ['10.0.0.2:80'])
const differing = (sent: ReturnType<typeof sentSnapshot>, snapshot: ReturnType<typeof of>) =>
  Object.keys(sent.message(snapshot).snapshot.services)

describe('what a data thread is sent of a snapshot', () => {
  test('is all of it at first, and then what differs from the one it took', () => {
    const sent = sentSnapshot()
    expect(differing(sent, of('1', orders(), users()))).toEqual(['orders', 'users'])
    sent.taken(of('1', orders(), users()))
    const message = sent.message(of('2', orders(3), users()))
    expect(message).toEqual({ kind: 'snapshot', snapshot: of('2', orders(3)), services: ['orders', 'users'] })
  })

  test('is measured by the one it took, not by one that it refused', () => {
    const sent = sentSnapshot()
    sent.taken(of('1', orders(), users()))
    expect(differing(sent, of('2', orders(3), users()))).toEqual(['orders'])
    expect(differing(sent, of('3', orders(), users()))).toEqual([])
  })

  test('is all of it where it gave no answer', () => {
    const sent = sentSnapshot()
    sent.taken(of('1', orders(), users()))
    sent.forget()
    expect(differing(sent, of('2', orders(), users()))).toEqual(['orders', 'users'])
  })

  test('has the endpoints of a service that it was told of meanwhile, also while it took a snapshot', () => {
    const sent = sentSnapshot()
    sent.taken(of('1', orders(), users()))
    sent.told('users')
    expect(differing(sent, of('2', orders(), users()))).toEqual(['users'])
    sent.told('orders')
    sent.taken(of('2', orders(), users()))
    expect(differing(sent, of('3', orders(), users()))).toEqual(['orders'])
    sent.taken(of('3', orders(), users()))
    expect(differing(sent, of('4', orders(), users()))).toEqual([])
  })

  test('has a service whose endpoints are others', () => {
    const sent = sentSnapshot()
    sent.taken(of('1', orders(), users()))
    const moved = { ...users(), endpoints: [endpointSpec('10.0.0.3:80')] }
    expect(differing(sent, of('2', orders(), moved))).toEqual(['users'])
  })
})
