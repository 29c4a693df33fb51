type Ffi = typeof import('node:ffi')
type Definitions = Parameters<Ffi['dlopen']>[1]

/** Functions of the C library of this process, which Node itself does not offer. Null: this Node cannot (before 26). */
export function functionsOf<const Defined extends NonNullable<Definitions>>(
  defined: Defined,
): ReturnType<typeof import('node:ffi').dlopen<Defined>>['functions'] | null {
  const ffi = ffiOf()
  if (ffi === null) return null
  try {
    return ffi.dlopen(null, defined).functions
  } catch {
    return null
  }
}

/** Without the warning that it is experimental: it would be the only line of a log that is not a line of the log. */
function ffiOf(): Ffi | null {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:ffi') ?? null
  } catch {
    return null
  } finally {
    process.emitWarning = emitWarning
  }
}
