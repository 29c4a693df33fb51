import { describe, expect, test } from 'vitest'
import type { Rollouts } from '../../../agent/rollouts.ts'
import { document, testBook } from '../support/book.ts'

const subsets = 'subsets: { v2: { version: v2 } }'
const route = 'routes: [{ to: [{ subset: v2 }] }]'

describe('a bad document', () => {
  test('is refused alone: its version before and all others stay in force', async () => {
    const { book, inForce, refused, changes } = testBook()
    await book.take('files', [document('orders', 'retries: { attempts: 2 }'), document('users', '')])
    changes.length = 0
    await book.take('files', [document('orders', 'retris: 1'), document('users', 'timeouts: { request: 1s }')])
    expect(inForce()).toEqual({ 'orders.yaml': 'retries: { attempts: 2 }', 'users.yaml': 'timeouts: { request: 1s }' })
    expect(refused()).toEqual({ 'orders.yaml': ['orders.yaml:1:1: unknown key "retris": did you mean "retries"?'] })
    expect(changes).toEqual(['users'])
  })

  test('is told once, and forgotten when it is good again or gone', async () => {
    const { book, refused, refusals } = testBook()
    await book.take('files', [document('orders', 'a')])
    await book.take('files', [document('orders', 'a'), document('users', '')])
    expect(refusals).toHaveLength(1)
    await book.take('files', [document('orders', '')])
    expect(refused()).toEqual({})
    await book.take('files', [document('orders', 'a')])
    await book.take('files', [])
    expect(refused()).toEqual({})
  })

  test('that its source refuses', async () => {
    const { book, refused, inForce } = testBook()
    await book.take('consul kv', [{ ...document('orders', '', 'kv orders'), errors: ['kv orders: no text'] }])
    expect(refused()).toEqual({ 'kv orders': ['kv orders: no text'] })
    expect(inForce()).toEqual({})
  })

  test('for something that cannot be a service', async () => {
    const { book, refused } = testBook()
    await book.take('consul kv', [document('a/b', '', 'kv a/b')])
    expect(refused()).toEqual({
      'kv a/b': ['kv a/b: "a/b" is not a service name: use small letters, digits, - _ and .'],
    })
  })
})

describe('documents that need each other', () => {
  test('are taken together, in whatever order they come', async () => {
    const { book, refused } = testBook()
    await book.take('files', [document('orders', route)])
    expect(refused()).toEqual({
      'orders.yaml': ['orders.yaml:1:27: there is no subset "v2": there are no subsets: define it under subsets:'],
    })
    await book.take('consul kv', [document('*', subsets, 'kv defaults')])
    expect(refused()).toEqual({})
    expect(book.inForce().size).toBe(2)
  })

  test('one that others need is not taken away, and the reason names them', async () => {
    const { book, refused, inForce } = testBook()
    await book.take('consul kv', [document('*', subsets, 'kv defaults')])
    await book.take('files', [document('orders', route)])
    await book.take('consul kv', [])
    expect(inForce()).toEqual({ 'kv defaults': subsets, 'orders.yaml': route })
    expect(refused()).toEqual({
      'kv defaults': [
        'it was removed, and is needed: orders.yaml:1:27: there is no subset "v2": there are no subsets: define it under subsets:',
      ],
    })
    await book.take('files', [])
    expect(inForce()).toEqual({})
    expect(refused()).toEqual({})
  })

  test('a change of the defaults that one service cannot bear is refused; one that fits goes on', async () => {
    const { book, inForce } = testBook()
    await book.take('consul kv', [document('*', subsets, 'kv defaults')])
    await book.take('files', [document('orders', route)])
    await book.take('consul kv', [
      document('*', 'retries: { attempts: 2 }', 'kv defaults'),
      document('users', 'timeouts: { request: 1s }', 'kv users'),
    ])
    expect(inForce()).toEqual({
      'kv defaults': subsets,
      'orders.yaml': route,
      'kv users': 'timeouts: { request: 1s }',
    })
  })
})

describe('a staged roll-out', () => {
  const rollouts: Rollouts = { isStaged: ({ before }) => before !== null, takes: () => true, words: () => '' }

  test('keeps a new version beside the one in force until it is promoted', async () => {
    const { book, inForce } = testBook({ rollouts })
    await book.take('files', [document('orders', 'retries: { attempts: 2 }')])
    await book.take('files', [document('orders', 'retries: { attempts: 3 }')])
    expect(inForce()).toEqual({ 'orders.yaml': 'retries: { attempts: 2 }' })
    expect([...book.candidates().values()].map(held => held.document.text)).toEqual(['retries: { attempts: 3 }'])
    book.promote('orders')
    await expect.poll(inForce).toEqual({ 'orders.yaml': 'retries: { attempts: 3 }' })
    expect(book.candidates().size).toBe(0)
  })

  test('that is reverted is refused with the reason, and is not tried again by itself', async () => {
    const { book, inForce, refused } = testBook({ rollouts })
    await book.take('files', [document('orders', 'retries: { attempts: 2 }')])
    await book.take('files', [document('orders', 'retries: { attempts: 3 }')])
    book.revert('orders', 'more errors')
    await expect.poll(refused).toEqual({ 'orders.yaml': ['orders.yaml: more errors'] })
    await book.take('files', [document('orders', 'retries: { attempts: 3 }'), document('users', '')])
    expect(inForce()['orders.yaml']).toBe('retries: { attempts: 2 }')
    expect(book.candidates().size).toBe(0)
  })
})
