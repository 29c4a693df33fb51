import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Writes all or nothing, even if the process or the machine ends. Only the owner may read it. Rejects with the system's
 * error; what was there before stays.
 */
export async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // One name for all processes: a process that was killed in the middle leaves one file at most.
  const temporary = join(folder, `${name}.new`)
  await rm(temporary, { force: true })
  try {
    // Never through a link that another user put there.
    await withFile(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, async file => {
      await file.writeFile(text)
      await file.sync()
    })
    await rename(temporary, join(folder, name))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  // Syncs the name too. Not every file system lets a folder be opened for that.
  await withFile(folder, constants.O_RDONLY, file => file.sync()).catch(() => {})
}

async function withFile(path: string, flags: number, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags, 0o600)
  try {
    await use(file)
  } finally {
    await file.close()
  }
}
