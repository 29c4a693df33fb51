import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

// Debian keeps servers in sbin folders, which the PATH of an ordinary user lacks; tests may run with a PATH of only
// Node.
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin']

/** The absolute path of the first of these names on PATH (or in the system's folders), or null. */
export function onPath(names: readonly string[], accept: (path: string) => boolean = () => true): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(isAbsolute), ...SYSTEM_FOLDERS]
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name)
      if (isExecutable(path) && accept(path)) return path
    }
  }
  return null
}

/**
 * The absolute path of a program of the system; of one that is missing, its bare name, which then fails to start by
 * that name.
 */
export function tool(name: string): string {
  return onPath([name]) ?? name
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Whether the file is machine code rather than a script that starts something else. */
export function isNative(path: string): boolean {
  const magic = Buffer.alloc(2)
  const file = openSync(path, 'r')
  try {
    readSync(file, magic, 0, 2, 0)
  } finally {
    closeSync(file)
  }
  return magic.toString('latin1') !== '#!'
}
