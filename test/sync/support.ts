/** All promises that can be settled are. */
export async function flushed(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}
