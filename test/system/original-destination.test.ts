import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { expect, test, vi } from 'vitest'
import { node } from '../integration/support/child.ts'

const file = new URL('../../proxy/system/original-destination.ts', import.meta.url).href

test('loading it says nothing to users', () => {
  const out = execFileSync(node, ['-e', `import('${file}').then(m => m.loadOriginals())`], { stdio: 'pipe' })
  expect(out.toString()).toBe('')
})

test('a Node without node:ffi is told what to do', async () => {
  vi.resetModules()
  const getBuiltinModule = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined as never)
  const { loadOriginals } = await import('../../proxy/system/original-destination.ts')
  expect(loadOriginals).toThrow(/needs node:ffi: run outrigger with Node 26 or newer .* or remove transparent: true/)
  getBuiltinModule.mockRestore()
})

test('a descriptor that is no redirected connection has none', async () => {
  const { loadOriginals, originalOf } = await import('../../proxy/system/original-destination.ts')
  loadOriginals()
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle
  expect([originalOf(fd, false), originalOf(fd, true), originalOf(-1, false)]).toEqual([null, null, null])
  server.close()
})
