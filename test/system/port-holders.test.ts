import { describe, expect, test } from 'vitest'
import { listen } from '../../proxy/system/net.ts'
import { holdersOf } from '../../proxy/system/port-holders.ts'
import { node, startChild } from '../integration/support/child.ts'
import { freePort } from '../integration/support/ports.ts'

/** Another process that listens there. */
async function holding(address: string, port: number) {
  const child = startChild(node, [
    '-e',
    `require('net').createServer().listen(${port}, '${address}', () => console.log('listens'))`,
  ])
  await child.said('that it listens', out => out.includes('listens'))
  return child
}

describe('who listens on a port', () => {
  test('is who meets the address: the same one, or all of them on either side', async () => {
    const port = await freePort()
    await using holder = await holding('127.0.0.1', port)
    const found = [{ pid: holder.pid, program: 'node' }]
    expect(await holdersOf({ address: '127.0.0.1', port })).toEqual(found)
    expect(await holdersOf({ address: '0.0.0.0', port })).toEqual(found)
    expect(await holdersOf({ address: '127.0.0.2', port })).toEqual([])
    expect(await holdersOf({ address: '::1', port })).toEqual([])
  })

  test('is never this process, and nobody on port 0', async () => {
    const acceptor = await listen(
      { address: '127.0.0.1', port: 0, shared: false },
      () => {},
      () => {},
    )
    expect(await holdersOf({ address: '127.0.0.1', port: acceptor.port })).toEqual([])
    expect(await holdersOf({ address: '127.0.0.1', port: 0 })).toEqual([])
    acceptor.close()
  })
})
