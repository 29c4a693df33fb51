import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Makes a folder that of this process. Rejects where a process that runs has it: two that write the same files would
 * lose each other's spans.
 */
export async function claimFolder(folder: string): Promise<void> {
  const file = join(folder, 'owner')
  const owner = await readFile(file, 'utf8').catch(() => '')
  const [pid, began] = owner.split(' ')
  if (pid !== undefined && pid !== String(process.pid) && began !== undefined && (await beganAt(pid)) === began)
    throw new Error(`the agent with the process id ${pid} uses it: give each a state: of its own`)
  await writeFile(`${file}.new`, `${process.pid} ${await beganAt(String(process.pid))}`, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

/** When a process began, in the kernel's ticks: with it a process id that is used again is another process. */
async function beganAt(pid: string): Promise<string | null> {
  if (!/^\d+$/.test(pid)) return null
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name of the program stands in parentheses, and may hold spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}
