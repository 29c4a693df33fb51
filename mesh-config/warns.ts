/** The beginning of the reason of an instance whose checks warn, and which is used. */
export const WARNING = 'warning: '

export function warns({ healthReason }: { readonly healthReason: string }): boolean {
  return healthReason.startsWith(WARNING)
}
