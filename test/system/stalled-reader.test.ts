import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { listen } from '../../proxy/system/net.ts'
import type { SocketWire } from '../../proxy/system/socket-wire.ts'

test('small writes to a reader that has stopped hold no more than their own bytes', async () => {
  const accepted = Promise.withResolvers<SocketWire>()
  const acceptor = await listen({ address: '127.0.0.1', port: 0, shared: false }, accepted.resolve, () => {})
  const reader = connect(acceptor.port, '127.0.0.1')
  reader.pause()
  const wire = await accepted.promise
  while (wire.write(Buffer.alloc(64 * 1024, 1))) {
    // Until the kernel's buffers and the wire's own are full.
  }
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 2000; i++) {
    const scratch = wire.scratch()
    scratch.fill(2, 0, 100)
    wire.write(scratch.subarray(0, 100))
    scratch.fill(3, 0, 100)
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
  let last: string | number = 0
  reader.on('data', chunk => {
    last = chunk[chunk.length - 1] ?? 0
  })
  reader.resume()
  await expect.poll(() => wire.unsent, { timeout: 10_000 }).toBe(0)
  await expect.poll(() => last).toBe(2)
  reader.destroy()
  wire.destroy()
  acceptor.close()
})
