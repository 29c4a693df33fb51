/** Checks at once: of all services, and of one. A service whose endpoints all hang holds no more than its share. */
const MOST = 1_024
export const MOST_OF_ONE = 256

/** A check that waits for its permit. */
export interface Asking {
  /** It has a permit. False: it is not wanted any more, and gives none back. */
  begin(): boolean
}

/** The permits of one service. */
export interface Line {
  /** Begins at once, or in its turn. */
  ask(asking: Asking): void
  /** Of a check that began. */
  done(): void
  waiting(): number
}

/** Services that wait are served one check each in turn. */
export function permits(most = MOST, mostOfOne = MOST_OF_ONE): () => Line {
  let free = most
  const rotation: ServiceLine[] = []

  class ServiceLine implements Line {
    running = 0
    #queue: Asking[] = []
    #at = 0

    ask(asking: Asking): void {
      if (this.waiting() === 0 && this.isFree()) return this.#begin(asking)
      if (this.waiting() === 0) rotation.push(this)
      this.#queue.push(asking)
    }

    done(): void {
      this.running--
      free++
      serve()
    }

    waiting(): number {
      return this.#queue.length - this.#at
    }

    isFree(): boolean {
      return free > 0 && this.running < mostOfOne
    }

    serveOne(): void {
      const asking = this.#queue[this.#at++]!
      if (this.#at === this.#queue.length || this.#at === mostOfOne) {
        this.#queue = this.#queue.slice(this.#at)
        this.#at = 0
      }
      this.#begin(asking)
    }

    #begin(asking: Asking): void {
      if (!asking.begin()) return
      this.running++
      free--
    }
  }

  function serve(): void {
    while (free > 0) {
      const index = rotation.findIndex(line => line.isFree())
      if (index === -1) return
      const [line] = rotation.splice(index, 1)
      line!.serveOne()
      if (line!.waiting() > 0) rotation.push(line!)
    }
  }

  return () => new ServiceLine()
}
