import { statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Why a default socket must not be used; empty: it may be. Another user could have made it, where a folder of all users
 * is on its way (`/tmp`), and would then write the policies of this proxy.
 */
export function distrust(path: string, uid: number): string {
  for (const place of [dirname(path), path]) {
    let owner: number | undefined
    try {
      owner = statSync(place, { throwIfNoEntry: false })?.uid
    } catch {
      // Nothing can be seen of it: connecting will say why.
    }
    if (owner !== undefined && owner !== uid && owner !== 0)
      return `${place} belongs to another user (uid ${owner}), so the agent there is not used: remove it, or name the socket in agent:`
  }
  return ''
}
