// Knows what is left of everything.
import { name, serve, work } from './serve.ts'

serve(async path => {
  const item = /^\/items\/([a-z]+)$/.exec(path)?.[1]
  if (item === undefined) return null
  await work(4)
  return { from: name, item, left: 17 }
})
