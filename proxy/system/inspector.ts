/**
 * A SIGUSR1 in the first milliseconds of a process, before our program runs, makes Node open its inspector on port
 * 9229, through which any client can run code. It was not requested, so it is closed. True: it was open.
 */
export function closeUninvitedInspector(): boolean {
  const asked = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some(text => text.includes('--inspect'))
  if (asked) return false
  const inspector = process.getBuiltinModule('node:inspector')
  if (inspector.url() === undefined) return false
  inspector.close()
  return true
}
