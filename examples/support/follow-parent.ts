// Loaded first by every process that an example starts (`node --import`): the process ends when whoever started it has
// gone, however that went. Its standard input is a pipe that only the parent holds, and the system closes it even after
// kill -9.
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  const gone = () => process.exit(0)
  process.stdin.on('end', gone).on('error', gone).resume()
  // It must not be what keeps a process alive.
  if ('unref' in process.stdin) process.stdin.unref()
}
