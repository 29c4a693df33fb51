import { accessSync, constants, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

export type FoundCommand =
  | { readonly ok: true; readonly path: string }
  /** As a shell would exit: 127 there is none, 126 it cannot be run. */
  | { readonly ok: false; readonly code: 126 | 127; readonly reason: string }

/** As execvp: a name without a slash is looked for in PATH. */
export function findCommand(command: string, path: string, folder: string): FoundCommand {
  if (command.includes('/')) {
    const reason = whyNot(resolve(folder, command))
    if (reason === '') return { ok: true, path: command }
    return reason === 'missing'
      ? { ok: false, code: 127, reason: `there is no file ${command}` }
      : { ok: false, code: 126, reason: `${command} ${reason}` }
  }
  let refused = ''
  for (const entry of path.split(':')) {
    const file = join(resolve(folder, entry), command)
    const reason = whyNot(file)
    if (reason === '') return { ok: true, path: command }
    if (reason !== 'missing') refused ||= `${file} ${reason}`
  }
  if (refused !== '') return { ok: false, code: 126, reason: refused }
  return { ok: false, code: 127, reason: `there is no command ${command} in PATH (${path})` }
}

/** Empty: it can be run. */
function whyNot(file: string): string {
  try {
    if (statSync(file).isDirectory()) return 'is a folder'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'cannot be reached by this user' : 'missing'
  }
  try {
    accessSync(file, constants.X_OK)
    return ''
  } catch {
    return 'is not executable: chmod +x'
  }
}
