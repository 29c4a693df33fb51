/** A store does not write: the document has another version than the writer has seen. The message is for people. */
export class VersionConflict extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'VersionConflict'
  }
}

/** `now` null: there is no document. */
export function conflict(at: string, expect: string, now: string | null): VersionConflict {
  const what = now === null ? 'there is none' : `it has version ${now}`
  const wanted = expect === '' ? 'there was to be none' : `version ${expect} was expected`
  return new VersionConflict(`${at}: ${what}, and ${wanted}: look at it with "outrigger policy get", and put it again`)
}
