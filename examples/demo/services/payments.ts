// Says what paying costs. There are two versions of it: v2 is the one that is being rolled out.
import { name, serve, work } from './serve.ts'

const { VERSION = 'v1' } = process.env

serve(async path => {
  if (path !== '/quote') return null
  await work(3)
  return { from: name, version: VERSION, fee: VERSION === 'v2' ? 0 : 0.35 }
})
