/** Somebody who looks at the page of the shop. */
export interface Visit {
  readonly orders: number
  /** Orders that failed, and why the WebSocket ended before it should have. */
  readonly troubles: readonly string[]
  leave(): void
}

/** `port`: where the sidecar of web takes requests. */
export function visitShop(port: number): Visit {
  const troubles: string[] = []
  const visit = { orders: 0, troubles, leave }
  let left = false
  const socket = new WebSocket(`ws://127.0.0.1:${port}/live`)
  socket.addEventListener('message', ({ data }) => {
    visit.orders++
    const { error } = JSON.parse(String(data)) as { error?: string }
    if (error !== undefined) troubles.push(error)
  })
  socket.addEventListener('close', ({ code }) => void (left || troubles.push(`the WebSocket was closed (${code})`)))

  function leave(): void {
    left = true
    socket.close()
  }

  return visit
}
